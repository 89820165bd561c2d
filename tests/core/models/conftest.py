"""What holds for the tests of models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.models import checkpoint
from core.models.device import pick_device
from tests.parity import DEVICES


@pytest.fixture(scope="module", params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """Each device on which recorded numbers must come out; a GPU's at float32, not at TF32 (`core.models.device`)."""
    return str(pick_device(request.param))


@pytest.fixture(autouse=True, scope="module")
def read_in_this_process() -> Iterator[None]:
    """Reading apart costs a start of torch for each file; `test_rewrite` and `test_admit` try it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "_read_apart", checkpoint.read_tensors)
        yield
