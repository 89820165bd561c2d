"""Carry tracks through their shots and keep them: each is carried once, whatever becomes of the others.

Tracks that begin on one keyframe are carried in one walk to each side. A frame of a track is kept under a key that
holds the hint's geometry, the lumas of all frames on the way, and what found the motion; so nothing is carried again
that could not have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from core.colourise import Store
from core.contract.fingerprint import fingerprint
from core.contract.progress import CancelToken
from core.film.colour import Array
from core.flow import FlowEstimator
from core.models.colouriser import Looks
from hints import elsewhere, likeness, outline, propagate
from hints.elsewhere import Elsewhere, shows
from hints.layers import NOTHING, Arrays, Kept, geometry_key, on_frame, on_keyframe, planes_of, unpack
from hints.likeness import Likeness
from hints.outline import Outline, look_of
from hints.propagate import Carrier, Motion, Smaller, walk
from hints.track import Track

# A track of which nothing was seen for this many frames has ended: it left the picture for good.
PATIENCE = 24


@dataclass(frozen=True, eq=False)
class Ways:
    """What carrying needs: the sequence's motion, what finds direct flow, and where to keep what was carried.

    Attributes:
        motion: luma and flow of the sequence.
        estimator: finds direct flow from a keyframe.
        store: keeps tracks.
        source_size: (H, W) that hints' coordinates are of.
        size: (h, w) at which tracks are kept.
        flow_key: what found the flow in ``motion``.
        looks: tells what places look like, so that masks are followed by that too; None: by motion alone.
    """

    motion: Motion
    estimator: FlowEstimator
    store: Store
    source_size: tuple[int, int]
    size: tuple[int, int]
    flow_key: str
    looks: Looks | None = None


class Tracks:
    """Tracks of one sequence, carried on demand and kept.

    Args:
        ways: what carrying needs.
    """

    def __init__(self, ways: Ways) -> None:
        self.ways = ways
        self._keys: dict[tuple[str, int, int], list[str]] = {}
        self._is_frame: dict[str, bool] = {}
        self._matches: dict[str, Elsewhere] = {}

    def at(self, track: Track, n: int) -> Kept | None:
        """A track on frame ``n`` of its reach; None where nothing of it is there.

        What was not carried yet, or is no longer kept, is carried now.
        """
        kept = self.held(track, n)
        if kept is None:
            self._walk(track.keyframe, 1 if n > track.keyframe else -1, [track], CancelToken(), _unheard)
            kept = self.held(track, n)
        return None if kept is None or kept.empty else kept

    def held(self, track: Track, n: int) -> Kept | None:
        """A track on frame ``n`` as far as it is kept; empty where nothing of it is there."""
        ways = self.ways
        if n == track.keyframe:
            return unpack(self._on_keyframe(track))
        arrays = ways.store.get(self.key(track, n))
        if arrays is not None:
            return unpack(arrays)
        end = ways.store.get(self._end_key(track, 1 if n > track.keyframe else -1))
        # Beyond its end nothing was kept, because nothing is there.
        return NOTHING if end is not None and abs(n - track.keyframe) > int(end["frames"][0]) else None

    def from_elsewhere(self, track: Track) -> bool:
        """Whether a track is of a reference that does not show its keyframe."""
        if track.hint.image is None:
            return False
        key = self._match_key(track)
        if key not in self._is_frame:
            self._is_frame[key] = shows(track.hint.image, self.ways.motion.luma(track.keyframe))
        return not self._is_frame[key]

    def _match_key(self, track: Track) -> str:
        return fingerprint("from elsewhere", self.key(track, track.keyframe))

    def _matched(self, track: Track) -> Elsewhere:
        key, ways, image = self._match_key(track), self.ways, track.hint.image
        assert image is not None  # asked for only where `from_elsewhere` says so
        matched = self._matches.get(key)
        if matched is None:
            matched = Elsewhere(image, ways.motion.luma(track.keyframe), ways.estimator, ways.looks)
            self._matches = {key: matched}  # asked for to one side and then to the other
        return matched

    def _on_keyframe(self, track: Track) -> Arrays:
        hint, ways = track.hint, self.ways
        if not self.from_elsewhere(track):
            return on_keyframe(hint, planes_of(hint, ways.source_size, ways.size))
        arrays = ways.store.get(self._match_key(track))
        if arrays is None:
            planes = self._matched(track).planes
            arrays = on_frame(hint, planes[:3], planes[3])
            ways.store.put(self._match_key(track), arrays)
        return arrays

    def key(self, track: Track, n: int) -> str:
        """Content key of a track on frame ``n``: all that lies between its keyframe and there is in it."""
        side = 1 if n >= track.keyframe else -1
        geometry = geometry_key(track.hint, self.ways.source_size, self.ways.size)
        chain = self._keys.setdefault((geometry, track.keyframe, side), [])
        if not chain:
            chain.append(
                fingerprint(
                    "track", propagate.VERSION, geometry, self.ways.estimator.fingerprint, self.ways.flow_key,
                    self.ways.motion.luma_key(track.keyframe), side,
                    self._looked_by(track),
                )
            )  # fmt: skip
        while len(chain) <= abs(n - track.keyframe):
            here = track.keyframe + side * len(chain)
            chain.append(fingerprint(chain[-1], self.ways.motion.luma_key(here)))
        return chain[abs(n - track.keyframe)]

    def ready(self, track: Track) -> bool:
        """Whether a track was carried through all its reach."""
        return not any(self._missing(track, side) for side in (1, -1))

    def carry(self, tracks: Iterable[Track], token: CancelToken, done: Callable[[int], None] | None = None) -> None:
        """Carry tracks that are missing, and keep them.

        Args:
            tracks: of one shot.
            token: checked between frames.
            done: called with the number of the frame after each.

        Raises:
            Cancelled: the token was set; frames carried so far are kept.
        """
        for (keyframe, side, _), together in self._to_walk(tracks).items():
            self._walk(keyframe, side, together, token, done or _unheard)

    def frames_to_carry(self, tracks: Iterable[Track]) -> int:
        """Frames that `carry` would walk through."""
        walks = self._to_walk(tracks)
        return sum(max(len(_frames(t, side)) for t in some) for (_, side, _), some in walks.items())

    def _to_walk(self, tracks: Iterable[Track]) -> dict[tuple[int, int, bool], list[Track]]:
        """Missing tracks by keyframe, side and whether they are references: those together are carried in one walk."""
        walks: dict[tuple[int, int, bool], list[Track]] = {}
        for track in tracks:
            for side in (1, -1):
                if self._missing(track, side):
                    walks.setdefault((track.keyframe, side, track.hint.image is not None), []).append(track)
        return walks

    def _missing(self, track: Track, side: int) -> bool:
        frames, store = _frames(track, side), self.ways.store
        if not frames or store.get(self._end_key(track, side)) is not None:
            return False
        # A reach that became shorter (a new keyframe beside it) needs no new walk.
        if any(store.get(self.key(track, n)) is None for n in frames):
            return True
        self._put_end(track, side, len(frames))
        return False

    def _end_key(self, track: Track, side: int) -> str:
        return fingerprint("carried to", self.key(track, _frames(track, side)[-1]))

    def _put_end(self, track: Track, side: int, frames: int) -> None:
        self.ways.store.put(self._end_key(track, side), {"frames": np.array([frames], np.int32)})

    def _walk(
        self,
        keyframe: int,
        side: int,
        tracks: Sequence[Track],
        token: CancelToken,
        done: Callable[[int], None],
    ) -> None:
        ways = self.ways
        strange = {i: self._matched(t) for i, t in enumerate(tracks) if self.from_elsewhere(t)}
        planes = [
            strange[i].planes if i in strange else planes_of(t.hint, ways.source_size, ways.size)
            for i, t in enumerate(tracks)
        ]
        ends = [_Ending(len(_frames(t, side))) for t in tracks]
        outlines, alike = self._outlines(keyframe, tracks, planes)
        for i in alike:  # what likeness gathers is carried beside what motion has
            planes[i] = np.concatenate([planes[i], planes[i][1:]])
        parts = np.cumsum([0, *(len(p) for p in planes)])
        dots = [int(parts[i]) for i, t in enumerate(tracks) if t.hint.mask is None and t.hint.image is None]
        carrier = Carrier(np.concatenate(planes), dots)
        longest = max((_frames(t, side) for t in tracks), key=len)
        # A reference colours every detail, down to a ball in the air; masks and points are as good at half the size.
        motion = ways.motion if tracks[0].hint.image is not None else Smaller(ways.motion)
        for step in walk(motion, keyframe, longest, ways.estimator):
            token.check()
            wide = step.enlarged(ways.motion.luma(step.n))
            carried = carrier.advance(wide)
            look = self._look(wide.luma) if outlines or alike or (strange and ways.looks) else None
            for i, (track, end) in enumerate(zip(tracks, ends, strict=True)):
                if not end.reached:
                    mine, trust = carried[parts[i] : parts[i + 1]], wide.trust
                    if i in outlines and look is not None:
                        cover, trust = outlines[i].advance(step, wide, mine[0], look)
                        mine = cover[None]
                    elif i in alike and look is not None:
                        gathered, shown, trust = alike[i].advance(wide, mine[1:3], mine[3:], look)
                        carrier.state[parts[i] + 3 : parts[i + 1]] = gathered
                        mine = np.concatenate([mine[:1], shown])
                    elif i in strange:
                        gathered, trust = strange[i].advance(step, mine, look)
                        carrier.state[parts[i] : parts[i + 1]] = gathered
                        mine = gathered[:3]
                    arrays = on_frame(track.hint, mine, trust)
                    ways.store.put(self.key(track, step.n), arrays)
                    end.saw(nothing=arrays["cover"].size == 0)
            done(step.n)
            if all(end.reached for end in ends):
                break
        for track, end in zip(tracks, ends, strict=True):
            self._put_end(track, side, end.frames)

    def _looked_by(self, track: Track) -> tuple[object, ...] | None:
        """What follows a track by what it looks like, as keys hold it; None: motion alone carries it."""
        looks, hint = self.ways.looks, track.hint
        if hint.image is not None:
            return likeness.VERSION, elsewhere.VERSION, looks.fingerprint if looks is not None else None
        return None if looks is None or hint.mask is None else (outline.VERSION, looks.fingerprint)

    def _outlines(
        self, keyframe: int, tracks: Sequence[Track], planes: Sequence[Array]
    ) -> tuple[dict[int, Outline], dict[int, Likeness]]:
        """By place in ``tracks``: outlines of those that have masks, likenesses of those that are references."""
        wanted = [
            i
            for i, track in enumerate(tracks)
            if self._looked_by(track) and (planes[i][0] > 0.5).any() and not self.from_elsewhere(track)
        ]
        if not wanted or self.ways.looks is None:
            return {}, {}
        look, luma = self._look(self.ways.motion.luma(keyframe)), Smaller(self.ways.motion).luma(keyframe)
        references = [i for i in wanted if tracks[i].hint.image is not None]
        return (
            {i: Outline(planes[i][0], luma, look) for i in wanted if i not in references},
            {i: Likeness(planes[i][1:], planes[i][0], look) for i in references},
        )

    def _look(self, luma: Array) -> Array:
        assert self.ways.looks is not None  # asked for only where `_looked_by` says so
        return look_of(luma, self.ways.looks.features(luma))


class _Ending:
    """How far one track was carried, and whether it has ended."""

    def __init__(self, limit: int) -> None:
        self.frames, self._limit, self._unseen = 0, limit, 0

    def saw(self, *, nothing: bool) -> None:
        self.frames += 1
        self._unseen = self._unseen + 1 if nothing else 0

    @property
    def reached(self) -> bool:
        return self.frames >= self._limit or self._unseen >= PATIENCE


def _unheard(_: int) -> None:
    """Progress that nobody asked for."""


def _frames(track: Track, side: int) -> range:
    return track.forward if side > 0 else track.backward
