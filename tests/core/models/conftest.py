"""What holds for the tests of models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.models import checkpoint


@pytest.fixture(autouse=True, scope="module")
def read_in_this_process() -> Iterator[None]:
    """Reading apart costs a start of torch for each file; `test_rewrite` and `test_admit` try it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "_read_apart", checkpoint.read_tensors)
        yield
