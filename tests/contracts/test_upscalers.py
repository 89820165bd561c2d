"""What every registered upscaler promises.

Checkpoints of those that come with the house are drawn here, for promises do not hang on what was learnt; an installed
package's are looked for in the model folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.errors import ModelMissingError
from core.models import edvr, realesrgan
from core.models.compact_net import CompactNet
from core.models.shelf import card_of
from core.models.tiling import Tiling
from core.models.upscaler import Denoises, NetworkUpscaler, Upscaler
from tests.contracts.registered import PLUGINS, VARIABLE
from tests.parity import warm_up

MADE: dict[str, Callable[[], torch.nn.Module]] = {
    **{name: v.made for name, v in realesrgan.VARIANTS.items()},
    **{name: v.made for name, v in edvr.VARIANTS.items()},
    realesrgan.GENERAL: lambda: CompactNet(32),
}
OURS = MADE.keys() - {realesrgan.GENERAL_WEAK}
Picture = np.ndarray[Any, np.dtype[np.float32]]
Ask = Callable[[str], Upscaler]


def draw(path: Path, make: Callable[[], torch.nn.Module], seed: int) -> None:
    """A checkpoint whose network answers near its input, with a little of its own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        network = make()
    table = {}
    for name, tensor in network.state_dict().items():
        scale = 0.5 / max(1, tensor[0].numel()) ** 0.5 if tensor.ndim > 1 else 0.02
        table[name] = (torch.randn(tensor.shape, generator=generator) * scale).to(torch.float16)
    torch.save({"params": table}, path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a checkpoint for every upscaler."""
    made = tmp_path_factory.mktemp("models")
    found = set(PLUGINS.upscalers)
    assert found >= OURS if os.environ.get(VARIABLE) else found == OURS
    for seed, (name, make) in enumerate(MADE.items()):
        draw(made / card_of(name).files[0].name, make, seed)
    warm_up()
    return made


@pytest.fixture(scope="module")
def asked(folder: Path) -> Ask:
    """Makes the upscaler of a name, from a checkpoint that was drawn, or of a package from its own."""

    def ask(name: str) -> Upscaler:
        with pytest.MonkeyPatch.context() as patch:
            if name in OURS:
                patch.setenv("POCHOIR_MODELS", str(folder))
            made = PLUGINS.upscalers.get(name)("cpu")
            return made.at(0.25) if isinstance(made, Denoises) else made

    return ask


@pytest.fixture(scope="module", params=sorted(PLUGINS.upscalers))
def upscaler(request: pytest.FixtureRequest, asked: Ask) -> Upscaler:
    try:
        return asked(request.param)
    except ModelMissingError as missing:
        assert request.param not in OURS
        pytest.skip(f"not in the model folder: {missing}")


def pictures(upscaler: Upscaler, h: int, w: int, *, grey: bool = False) -> list[Picture]:
    rng = np.random.default_rng(h * 100 + w)
    frames = rng.uniform(0, 1, (2 * upscaler.radius + 1, h, w, 1 if grey else 3)).astype(np.float32)
    frames = np.broadcast_to(frames, (*frames.shape[:-1], 3)).copy()
    frames.setflags(write=False)
    return list(frames)


def test_says_what_it_is(upscaler: Upscaler, asked: Ask) -> None:
    assert isinstance(upscaler, Upscaler)
    assert upscaler.name in PLUGINS.upscalers
    assert upscaler.scale in ((1, 2, 4) if upscaler.name in OURS else (1, 2, 3, 4, 8))
    assert 0 <= upscaler.radius <= 3
    assert upscaler.fingerprint == asked(upscaler.name).fingerprint


def test_no_two_have_one_fingerprint(asked: Ask) -> None:
    found = []
    for name in PLUGINS.upscalers:
        with suppress(ModelMissingError):
            found.append(asked(name).fingerprint)
    assert len(set(found)) == len(found) >= len(OURS)


@pytest.mark.parametrize("size", [(13, 21), (1, 1), (1, 9), (9, 1)])
def test_odd_sizes_down_to_one_pixel_keep_shape_type_and_range_and_give_the_same_bits(
    upscaler: Upscaler, size: tuple[int, int]
) -> None:
    frames = pictures(upscaler, *size)
    made = upscaler.enlarge(frames, upscaler.radius)
    assert made.shape == (size[0] * upscaler.scale, size[1] * upscaler.scale, 3)
    assert made.dtype == np.float32
    assert made.flags.c_contiguous
    assert 0 <= made.min() <= made.max() <= 1
    assert np.array_equal(made, upscaler.enlarge(frames, upscaler.radius))


def test_where_a_shot_is_shorter_than_its_window_it_still_works(upscaler: Upscaler) -> None:
    (frame, *_) = pictures(upscaler, 8, 8)
    assert upscaler.enlarge([frame], 0).shape == (8 * upscaler.scale, 8 * upscaler.scale, 3)


def test_a_film_without_colour_stays_without(upscaler: Upscaler) -> None:
    made = upscaler.enlarge(pictures(upscaler, 12, 16, grey=True), upscaler.radius)
    assert np.array_equal(made[..., 0], made[..., 1])
    assert np.array_equal(made[..., 0], made[..., 2])


def test_it_makes_something_of_the_picture(upscaler: Upscaler) -> None:
    """Two pictures, two answers: neither nothing nor all of it is cut off at the range's ends."""
    one, other = (upscaler.enlarge(pictures(upscaler, 12, w), upscaler.radius)[:48, :48] for w in (16, 17))
    assert one.std() > 1e-3
    assert not np.array_equal(one[:12, :12], other[:12, :12])


def test_in_parts_it_gives_what_it_gives_whole(upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    """The overlap is one that these weights hardly see beyond; a part in the wrong place is off by the texture."""
    if upscaler.name not in OURS and not isinstance(upscaler, NetworkUpscaler):
        pytest.skip("cuts its pictures itself, or not at all")
    assert isinstance(upscaler, NetworkUpscaler)
    own = upscaler._parts()
    side = 2 * own.multiple if upscaler.radius else -(-12 // own.multiple) * own.multiple
    if upscaler.name not in OURS:
        overlap = own.overlap  # of weights that were learnt, the one its author says
    elif upscaler.radius:
        overlap = 3 * own.multiple
    else:
        overlap = own.overlap // 2 // own.multiple * own.multiple
    frames = pictures(upscaler, side + 2 * overlap + 3, 8)
    whole = upscaler.enlarge(frames, upscaler.radius)
    monkeypatch.setattr(upscaler, "_tiling", Tiling(side, overlap, own.multiple))
    parts = upscaler.enlarge(frames, upscaler.radius)
    assert parts.shape == whole.shape
    assert np.abs(parts - whole).max() < 0.02 * whole.std(), (np.abs(parts - whole).max(), whole.std())
