"""What is said in the words of `hints.json`, checked by the same rules as a file, as values of `hints`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import HintError
from hints.hint import Hint, HintSet
from hints.interchange import VERSION, decode, encode
from hints.picture import Mask
from hints.region import Region
from studio.project import Project

MaskLike = Mask | NDArray[Any] | None
_MASK, _IMAGE = "given mask", "given image"


def hint_from(project: Project, row: Mapping[str, Any], mask: MaskLike = None, image: bytes | None = None) -> Hint:
    """A hint from its row.

    Args:
        project: whose film and regions it is checked against.
        row: as in `hints.json`; ``mask`` and ``image`` may also stand in it as values.
        mask: the mask, for a row that has none  [Mask or (H, W), true or above 127 inside]
        image: bytes of a reference's image file.

    Raises:
        HintError: it breaks a rule.
    """
    hint = _hint(project, row, mask, image, {})
    # A lock read alone would keep nothing; in the project's set it takes what was said before it.
    return hint if "frozen" in row else replace(hint, frozen=None)


def _hint(project: Project, row: Mapping[str, Any], mask: MaskLike, image: Any, files: dict[str, bytes]) -> Hint:
    row = dict(row)
    mask = row.pop("mask", None) if mask is None else mask
    image = row.pop("image", None) if image is None else image
    if mask is not None:
        row["mask"], files[_MASK] = _MASK, _mask_of(mask, row.get("id", "?")).png
    if image is not None:
        if not isinstance(image, bytes):
            raise HintError(f"hint {row.get('id', '?')}: 'image' must come as bytes; import a file to use paths")
        row["image"], files[_IMAGE] = _IMAGE, image
    return _decoded(project, [], [row], files).hints[0]


def changed_hint(project: Project, hint_id: str, changes: Mapping[str, Any]) -> Hint:
    """A hint with some of its fields changed; None takes a field away.

    Raises:
        HintError: there is none of that id, it would get another id, or a rule is broken.
    """
    old = project.hints.hint(hint_id)
    if changes.get("id", hint_id) != hint_id:
        raise HintError(f"hint {hint_id}: an id never changes; add a new hint instead")
    data, files = encode(HintSet(project.hints.regions, (old,)))
    row = {**data["hints"][0], **changes}
    given = {name: row.pop(name, None) for name in ("mask", "image")}
    for name, value in given.items():
        if isinstance(value, str) and value in files:
            given[name] = Mask(files[value]) if name == "mask" else files[value]
    row = {name: value for name, value in row.items() if value is not None}
    hint = _hint(project, row, given["mask"], given["image"], files)
    return replace(hint, frozen=old.frozen if hint.kind == "lock" else None)


def region_from(project: Project, row: Mapping[str, Any]) -> Region:
    """A region from its row; fields that are not given stay as they are in the region of that id.

    Raises:
        HintError: it breaks a rule.
    """
    data, _ = encode(HintSet(tuple(r for r in project.hints.regions if r.id == row.get("id"))))
    known = data["regions"][0] if data["regions"] else {}
    return _decoded(project, [{**known, **row}], [], {}).regions[0]


def _decoded(
    project: Project,
    regions: list[Mapping[str, Any]],
    hints: list[Mapping[str, Any]],
    files: dict[str, bytes],
) -> HintSet:
    said, _ = encode(HintSet(project.hints.regions))
    data = {"version": VERSION, "regions": regions or said["regions"], "hints": hints}

    def read(name: str) -> bytes:
        if name not in files:
            raise HintError("a picture must come with the hint; import a file to use paths")
        return files[name]

    return decode(data, size=project.clip.size, count=project.clip.count, read=read)


def _mask_of(mask: Any, hint_id: str) -> Mask:
    if isinstance(mask, Mask):
        return mask
    if not isinstance(mask, np.ndarray) or mask.ndim != 2:
        raise HintError(f"hint {hint_id}: 'mask' must come as pixels (H, W); import a file to use paths")
    return Mask.of(mask if mask.dtype == bool else mask > (127 if mask.dtype == np.uint8 else 0.5))
