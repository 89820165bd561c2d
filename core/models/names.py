"""Names of a network's parts, brought from the dialect that a checkpoint is written in to the one that is read here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from core.errors import WeightsError


def by_rules(name: str, rules: Iterable[tuple[str, str]]) -> str:
    """A name after rules, each a pattern and what stands for it, in their order; where none fits it stays."""
    for pattern, by in rules:
        name = re.sub(pattern, by, name)
    return name


def renamed(table: Mapping[str, Tensor], new: Callable[[str], str], *, mixed: str) -> dict[str, Tensor]:
    """A table under other names.

    Args:
        table: name to tensor; left as it is
        new: gives the other name
        mixed: what such a file is a mixture of where two names become one, e.g. ``"two dialects of EDVR"``

    Raises:
        WeightsError: two names mean the same part.
    """
    other = {new(name): tensor for name, tensor in table.items()}
    if len(other) != len(table):
        raise WeightsError(f"checkpoint: names of {mixed} in one file; it is damaged")
    return other
