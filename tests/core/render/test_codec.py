import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.film.frame import on_grid
from core.render.codec import DamagedError, pack, picture_from_arrays, picture_to_arrays, unpack

dtypes = st.sampled_from([np.uint8, np.uint16, np.int16, np.int64, np.float16, np.float32, np.bool_])


@settings(max_examples=60, deadline=None)
@given(dtypes.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=3, max_side=9))))
def test_arrays_come_back_bit_for_bit(array):
    back = unpack(pack({"x": array}))["x"]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("grey", [True, False])
def test_pictures_on_the_grid_come_back_bit_for_bit(grey):
    rgb = np.random.default_rng(1).uniform(-0.1, 1.1, (17, 23, 1 if grey else 3)).astype(np.float32)
    rgb = on_grid(np.broadcast_to(rgb, (17, 23, 3)).copy())
    arrays = unpack(pack(picture_to_arrays(rgb)))
    assert len(arrays) == (1 if grey else 3)
    assert np.array_equal(picture_from_arrays(arrays), rgb)


def test_source_depths_lie_on_the_grid():
    # 8 and 16 bit exactly; 10 and 12 bit to less than half of one of their own steps.
    for bits in (8, 10, 12, 16):
        codes = np.arange(2**bits, dtype=np.float64)
        rgb = np.repeat((codes / (2**bits - 1)).astype(np.float32)[None, :, None], 3, axis=2)
        assert np.array_equal(np.rint(on_grid(rgb)[0, :, 0] * (2.0**bits - 1)), codes)


@pytest.mark.parametrize("at", [0, 5, 30, -1])
def test_every_altered_byte_is_noticed(at):
    data = bytearray(pack({"x": np.arange(100, dtype=np.uint16).reshape(10, 10)}))
    data[at] ^= 1
    with pytest.raises(DamagedError):
        unpack(bytes(data))


def test_a_cut_off_object_is_noticed():
    data = pack({"x": np.zeros((10, 10), np.float32)})
    for length in (0, 3, 20, len(data) - 1):
        with pytest.raises(DamagedError):
            unpack(data[:length])
