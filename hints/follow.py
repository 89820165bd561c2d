"""Ways in which what a keyframe says goes along a walk: masks and references here, points and strokes in `hints.dots`.

Each takes the walk's steps one by one and tells, for every track it follows, planes and trust at working size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from core.film.colour import Array
from hints.colour_rule import changed_light
from hints.elsewhere import Elsewhere
from hints.likeness import Likeness
from hints.outline import Outline
from hints.propagate import Carrier, Step, resized, walking_size

# Planes as `hints.layers.on_frame` takes them [(1 to 3, H, W) float32], and their trust [(H, W) float32 [0, 1]].
Told = tuple[Array, Array]


class Follower(Protocol):
    """Follows tracks of one keyframe to one side."""

    def advance(self, step: Step, luma: Array, look: Array | None) -> list[Told]:
        """Follow all tracks to the walk's next frame.

        Args:
            step: of the walk, at the walk's size.
            luma: the frame's at working size  [(H, W) float32 [0, 100] L*]
            look: the frame's, as of `hints.outline.look_of`; None where nobody looks

        Returns:
            What is told of each track, in their order.
        """
        ...


class Masks:
    """Masks that are followed by what their regions look like; the walk goes at half the working size.

    Args:
        covers: masks on the keyframe                [(H, W) float32 [0, 1] each]
        luma: the keyframe's, at the walk's size     [(h, w) float32 [0, 100] L*]
        look: the keyframe's
    """

    def __init__(self, covers: Sequence[Array], luma: Array, look: Array) -> None:
        self._carrier = Carrier(np.stack([resized(cover, walking_size(cover)) for cover in covers]))
        self._outlines = [Outline(cover, luma, look) if (cover > 0.5).any() else None for cover in covers]

    def advance(self, step: Step, luma: Array, look: Array | None) -> list[Told]:
        """See `Follower`."""
        assert look is not None  # masks come here only where somebody looks
        told: list[Told] = []
        size = luma.shape[1], luma.shape[0]
        for outline, carried in zip(self._outlines, self._carrier.advance(step), strict=True):
            if outline is None:
                told.append((resized(carried, size)[None], resized(step.trust, size)))
            else:
                cover, trust, tenure = outline.advance(step, luma, carried, look)
                told.append((np.stack([cover, tenure]), trust))
        return told


class Moved:
    """Masks that nobody looks at: carried by motion alone.

    Args:
        covers: on the keyframe  [(H, W) float32 [0, 1] each]
    """

    def __init__(self, covers: Sequence[Array]) -> None:
        self._carrier = Carrier(np.stack(covers))

    def advance(self, step: Step, luma: Array, look: Array | None) -> list[Told]:
        """See `Follower`."""
        wide = step.enlarged(luma)
        return [(cover[None], wide.trust) for cover in self._carrier.advance(wide)]


class References:
    """Coloured stills: of this very frame by motion and likeness, those from elsewhere as they were matched.

    A reference colours every detail, down to a ball in the air, so the walk goes at the working size.

    Args:
        planes: cover and chroma of each still on the keyframe  [(3, H, W) float32 each]
        matched: those from elsewhere; None for a still of this very frame.
        luma: the keyframe's       [(H, W) float32 [0, 100] L*]
        look: the keyframe's, or None where nobody looks
    """

    def __init__(
        self, planes: Sequence[Array], matched: Sequence[Elsewhere | None], luma: Array, look: Array | None
    ) -> None:
        self._followed: list[Elsewhere | Likeness | None] = []
        start: list[Array] = []
        for mine, strange in zip(planes, matched, strict=True):
            if strange is not None:
                self._followed.append(strange)
                start.append(strange.planes)
            elif look is not None and (mine[0] > 0.5).any():
                self._followed.append(Likeness(mine[1:], mine[0], look))
                start.append(np.concatenate([mine, mine[1:]]))  # what likeness gathers goes beside what motion has
            else:
                self._followed.append(None)
                start.append(mine)
        self._parts = np.cumsum([0, *(len(some) for some in start)])
        self._carrier = Carrier(np.concatenate([*start, luma[None]]))  # at which luma all of it was said goes along

    def advance(self, step: Step, luma: Array, look: Array | None) -> list[Told]:
        """See `Follower`."""
        carried = self._carrier.advance(step)
        light = changed_light(luma, carried[-1], step.trust)
        told: list[Told] = []
        for i, followed in enumerate(self._followed):
            part = slice(int(self._parts[i]), int(self._parts[i + 1]))
            mine, trust = carried[part], step.trust
            if isinstance(followed, Elsewhere):
                mine, trust = followed.advance(step, mine, look)
                self._carrier.state[part] = mine
                mine = mine[:3]
            elif isinstance(followed, Likeness) and look is not None:
                gathered, shown, trust = followed.advance(step, mine[1:3], mine[3:], look)
                self._carrier.state[part.start + 3 : part.stop] = gathered
                mine = np.concatenate([mine[:1], shown])
            if not isinstance(followed, Elsewhere):
                mine = np.concatenate([mine[:1], mine[1:3] * light])
            told.append((mine, trust))
        return told
