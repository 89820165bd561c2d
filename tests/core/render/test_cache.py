import numpy as np
import pytest

from core.errors import CacheError
from core.film.frame import on_grid
from core.render.cache import FrameCache

KEY = "ab" + "0" * 38


def noise(seed, shape=(32, 32)):
    return np.random.default_rng(seed).integers(0, 2**16, shape).astype(np.uint16)


def test_what_is_put_is_got_also_by_another_process(tmp_path):
    rgb = on_grid(np.random.default_rng(0).uniform(0, 1, (9, 7, 3)).astype(np.float32))
    FrameCache(tmp_path).put_frame(KEY, rgb)
    again = FrameCache(tmp_path)
    assert again.has(KEY)
    assert np.array_equal(again.get_frame(KEY), rgb)
    assert again.get("cd" + "0" * 38) is None


def test_a_damaged_object_is_a_miss_and_is_set_aside(tmp_path):
    FrameCache(tmp_path).put(KEY, {"x": noise(0)})
    (path,) = [p for p in tmp_path.glob("??/*") if p.is_file()]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    cache = FrameCache(tmp_path)
    assert cache.get(KEY) is None
    assert not cache.has(KEY)
    assert len(list((tmp_path / "quarantine").iterdir())) == 1
    cache.put(KEY, {"x": noise(0)})
    assert np.array_equal(FrameCache(tmp_path).get(KEY)["x"], noise(0))


def test_the_budget_holds_and_the_longest_unread_go_first(tmp_path):
    import os

    cache = FrameCache(tmp_path, budget_bytes=20_000, memory_bytes=0)
    keys = [f"{i:02x}" + "0" * 38 for i in range(8)]
    for i, key in enumerate(keys):
        cache.put(key, {"x": noise(i)})  # 2 kB each, incompressible
    for i, key in enumerate(keys):
        os.utime(tmp_path / key[:2] / key[2:], (1000 + i, 1000 + i))
    assert cache.get(keys[0]) is not None  # reading makes it young again
    for i in range(8, 11):
        cache.put(f"{i:02x}" + "0" * 38, {"x": noise(i)})
    assert cache.size_bytes <= 20_000
    assert cache.has(keys[0])
    assert not cache.has(keys[1])


def test_arrays_from_the_cache_cannot_be_written(tmp_path):
    cache = FrameCache(tmp_path)
    cache.put(KEY, {"x": noise(0)})
    with pytest.raises(ValueError, match="read-only"):
        cache.get(KEY)["x"][0] = 1


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="POCHOIR_CACHE") as caught:
        FrameCache(tmp_path / "file" / "cache")
    assert "\n" not in str(caught.value)


def test_clear_forgets_all(tmp_path):
    cache = FrameCache(tmp_path)
    cache.put(KEY, {"x": noise(0)})
    cache.clear()
    assert cache.get(KEY) is None
    assert cache.size_bytes == 0
