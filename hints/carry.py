"""Carry tracks through their shots and keep them: each is carried once, whatever becomes of the others.

Tracks that begin on one keyframe are carried in one walk to each side. A frame of a track is kept under a key that
holds the hint's geometry, the lumas of all frames on the way, and what found the motion; so nothing is carried again
that could not have changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from core.colourise import Store
from core.contract.fingerprint import fingerprint
from core.contract.progress import CancelToken
from core.film.colour import Array
from core.film.timebase import FrameRange
from core.flow import FlowEstimator
from core.footage.ahead import ReadAhead
from core.models.colouriser import Looks
from core.threads import one_thread_a_call
from hints import dots, elsewhere, likeness, outline, propagate
from hints.dots import Dots
from hints.elsewhere import Elsewhere, shows
from hints.follow import Follower, Masks, Moved, References
from hints.footprint import line_of
from hints.layers import Arrays, Kept, geometry_key, on_frame, on_keyframe, planes_of, unpack
from hints.outline import asked_size, look_of
from hints.prepared import Prepared
from hints.propagate import Motion, Step, walk
from hints.track import Track

T = TypeVar("T")

# Masks are followed as well when frames are looked at this small, in half the time; references lose 0.04 dB [px].
LOOKED_LONG_SIDE = 192

# How a track is followed: a mask by looks, a coloured still, points and strokes, or a mask that nobody looks at.
Manner = Literal["mask", "reference", "dot", "moved"]
_LOOKED: dict[Manner, int | None] = {"mask": LOOKED_LONG_SIDE, "reference": None}


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
        self.prepared = Prepared(ways.motion, ways.store, ways.flow_key, ways.looks)
        self._keys: dict[tuple[str, int, int], list[str]] = {}
        self._elsewhere: dict[str, bool] = {}
        self._there: dict[str, bool] = {}
        self._matches: dict[str, Elsewhere] = {}
        self._matching = threading.Lock()

    def at(self, track: Track, n: int) -> Kept | None:
        """A track on frame ``n`` of its span; None where nothing of it is there.

        What was not carried yet, or is no longer kept, is carried now; beyond its reach too.
        """
        track = _reaching(track, n)
        kept = self.held(track, n)
        if kept is None:
            for _ in self._walk(track.keyframe, 1 if n > track.keyframe else -1, [track]):
                pass
            kept = self.held(track, n)
        return None if kept is None or kept.empty else kept

    def held(self, track: Track, n: int) -> Kept | None:
        """A track on frame ``n`` as far as it is kept; empty where nothing of it is there."""
        ways, track = self.ways, _reaching(track, n)
        if n == track.keyframe:
            return unpack(self._on_keyframe(track))
        arrays = ways.store.get(self.key(track, n))
        return None if arrays is None else unpack(arrays)

    def there(self, track: Track, n: int) -> bool:
        """Whether anything of a track is on frame ``n`` of its reach; remembered, for keys ask it of every frame."""
        key = self.key(track, n)
        if key not in self._there:
            self._there[key] = self.at(track, n) is not None
        return self._there[key]

    def from_elsewhere(self, track: Track) -> bool:
        """Whether a track is of a reference that does not show its keyframe."""
        if track.hint.image is None:
            return False
        held = self.known_from_elsewhere(track)
        if held is not None:
            return held
        told = not shows(track.hint.image, self.ways.motion.luma(track.keyframe))
        self.ways.store.put(self._told_key(track), {"elsewhere": np.array([told])})
        self._elsewhere[self._told_key(track)] = told
        return told

    def known_from_elsewhere(self, track: Track) -> bool | None:
        """The same of a reference, as far as it is kept; None: its keyframe has not been looked at yet."""
        key = self._told_key(track)
        if key not in self._elsewhere:
            arrays = self.ways.store.get(key)
            if arrays is None:
                return None
            self._elsewhere[key] = bool(arrays["elsewhere"][0])
        return self._elsewhere[key]

    def _told_key(self, track: Track) -> str:
        return fingerprint("whether from elsewhere", self.key(track, track.keyframe))

    def _match_key(self, track: Track) -> str:
        return fingerprint("from elsewhere", self.key(track, track.keyframe))

    def _matched(self, track: Track) -> Elsewhere:
        key, ways, image = self._match_key(track), self.ways, track.hint.image
        assert image is not None  # asked for only where `from_elsewhere` says so
        with self._matching:  # both sides ask for it
            matched = self._matches.get(key)
            if matched is None:
                matched = Elsewhere(image, ways.motion.luma(track.keyframe), ways.estimator, ways.looks)
                self._matches = {key: matched}
        return matched

    def _on_keyframe(self, track: Track) -> Arrays:
        store = self.ways.store
        if not self.from_elsewhere(track):
            return on_keyframe(track.hint, self._planes(track))
        arrays = store.get(self._match_key(track))
        if arrays is None:
            planes = self._matched(track).planes
            arrays = on_frame(track.hint, planes[:3], planes[3])
            store.put(self._match_key(track), arrays)
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
                    self._followed_by(track),
                )
            )  # fmt: skip
        while len(chain) <= abs(n - track.keyframe):
            here = track.keyframe + side * len(chain)
            chain.append(fingerprint(chain[-1], self.ways.motion.luma_key(here)))
        return chain[abs(n - track.keyframe)]

    def ready(self, track: Track) -> bool:
        """Whether a track was carried through all its reach, so that nothing of it asks for the film any more."""
        return self._knows_keyframe(track) and not any(self._missing(track, side) for side in (1, -1))

    def _knows_keyframe(self, track: Track) -> bool:
        """Whether what a track says of its keyframe can be told without the film."""
        if track.hint.image is None:
            return True
        elsewhere = self.known_from_elsewhere(track)
        return elsewhere is not None and (not elsewhere or self.ways.store.has(self._match_key(track)))

    def carry(self, tracks: Iterable[Track], token: CancelToken, done: Callable[[int], None] | None = None) -> None:
        """Carry tracks that are missing, and keep them.

        Args:
            tracks: of one shot.
            token: checked between frames.
            done: called with the number of the frame after each.

        Raises:
            Cancelled: the token was set; frames carried so far are kept.
        """
        tracks = list(tracks)
        for (keyframe, _), sides in self._to_walk(tracks).items():
            with ExitStack() as open_ones:
                open_ones.enter_context(one_thread_a_call())
                # Each side has a thread of its own and need not wait for the other; one alone has one that walks ahead.
                alone = len(sides) == 1
                walks = [ReadAhead(self._walk(keyframe, *some, alone), depth=1) for some in sides.items()]
                for walk_on in walks:
                    open_ones.enter_context(closing(walk_on))
                # To both sides in turn: a person looks at what lies next to the keyframe first.
                for n in _in_turn(walks):
                    token.check()
                    if done is not None:
                        done(n)
        for track in tracks:
            if not self._knows_keyframe(track):
                token.check()
                self._on_keyframe(track)

    def prepare(self, frames: range, token: CancelToken, done: Callable[[int], None] | None = None) -> None:
        """Find and keep what walks through these frames of one shot will ask for, whatever is carried.

        Raises:
            Cancelled: the token was set; what was found so far is kept.
        """
        if not self.prepared.prepared(frames, LOOKED_LONG_SIDE):
            self.prepared.prepare(frames, LOOKED_LONG_SIDE, token, done)

    def frames_to_carry(self, tracks: Iterable[Track]) -> int:
        """Frames that `carry` would walk through."""
        walks = [walk for sides in self._to_walk(tracks).values() for walk in sides.items()]
        return sum(max(len(_frames(t, side)) for t in some) for side, some in walks)

    def _to_walk(self, tracks: Iterable[Track]) -> dict[tuple[int, Manner], dict[int, list[Track]]]:
        """Missing tracks by keyframe and manner, then by side: those are carried in one walk."""
        walks: dict[tuple[int, Manner], dict[int, list[Track]]] = {}
        for track in tracks:
            for side in (1, -1):
                if self._missing(track, side):
                    sides = walks.setdefault((track.keyframe, self._manner(track)), {})
                    sides.setdefault(side, []).append(track)
        return walks

    def _missing(self, track: Track, side: int) -> bool:
        frames, store = _frames(track, side), self.ways.store
        if not frames or store.get(self._end_key(track, side)) is not None:
            return False
        # A reach that became shorter (a new keyframe beside it) needs no new walk.
        if any(store.get(self.key(track, n)) is None for n in frames):
            return True
        self._put_end(track, side)
        return False

    def _end_key(self, track: Track, side: int) -> str:
        return fingerprint("carried to", self.key(track, _frames(track, side)[-1]))

    def _put_end(self, track: Track, side: int) -> None:
        """Keep that nothing is missing on that side, so that not every frame is asked for."""
        frames = np.array([len(_frames(track, side))], np.int32)
        self.ways.store.put(self._end_key(track, side), {"frames": frames})

    def _walk(
        self, keyframe: int, side: int, tracks: Sequence[Track], alone: bool = True
    ) -> Generator[int, None, None]:
        """Carry tracks of one manner to one side, and keep them; gives the number of each frame when it is kept."""
        ways, manner = self.ways, self._manner(tracks[0])
        follower = self._follower(manner, keyframe, tracks)
        longest = max((_frames(t, side) for t in tracks), key=len)
        motion = ways.motion if manner == "reference" else self.prepared
        steps = walk(motion, keyframe, longest, ways.estimator, quick=manner == "mask")
        seen = self._looked(steps, longest, manner)
        with closing(_ahead(seen) if alone else seen) as told_of:
            for step, luma, look in told_of:
                for track, told in zip(tracks, follower.advance(step, luma, look), strict=True):
                    if step.n in track.reach:
                        ways.store.put(self.key(track, step.n), on_frame(track.hint, *told))
                yield step.n
        for track in tracks:
            self._put_end(track, side)

    def _manner(self, track: Track) -> Manner:
        if track.hint.image is not None:
            return "reference"
        if track.hint.mask is None:
            return "dot"
        return "moved" if self.ways.looks is None else "mask"

    def _follower(self, manner: Manner, keyframe: int, tracks: Sequence[Track]) -> Follower:
        ways = self.ways
        luma = ways.motion.luma(keyframe)
        look = None
        if ways.looks is not None and manner in _LOOKED:
            (seen,) = self.prepared.features([keyframe], _LOOKED[manner])
            look = look_of(luma, seen, _places(luma, manner))
        if manner == "reference":
            matched = [self._matched(t) if self.from_elsewhere(t) else None for t in tracks]
            return References([self._planes(t) for t in tracks], matched, luma, look)
        if manner == "dot":
            lines = [line_of(t.hint, ways.source_size, ways.size) for t in tracks]
            return Dots([line for line in lines if line is not None], self.prepared.luma(keyframe), ways.size)
        covers = [self._planes(t)[0] for t in tracks]
        if look is None:
            return Moved(covers)
        return Masks(covers, self.prepared.luma(keyframe), look)

    def _planes(self, track: Track) -> Array:
        return planes_of(track.hint, self.ways.source_size, self.ways.size)

    def _looked(
        self, steps: Iterator[Step], frames: range, manner: Manner
    ) -> Generator[tuple[Step, Array, Array | None], None, None]:
        """Steps, each with its frame's luma at working size, and its look where that manner asks for it."""
        seen: dict[int, Array] = {}
        asked = 1
        for i, step in enumerate(steps):
            luma = self.ways.motion.luma(step.n)
            if manner not in _LOOKED or self.ways.looks is None:
                yield step, luma, None
                continue
            if step.n not in seen:
                # Ever more at once: what lies next to the keyframe is waited for.
                some = frames[i : i + asked]
                seen = dict(zip(some, self.prepared.features(some, _LOOKED[manner]), strict=True))
                asked = min(2 * asked, self.prepared.together)
            yield step, luma, look_of(luma, seen[step.n], _places(luma, manner))

    def _followed_by(self, track: Track) -> tuple[object, ...] | None:
        """What follows a track, as keys hold it; None: motion alone carries it."""
        looks, hint = self.ways.looks, track.hint
        if hint.image is not None:
            return likeness.VERSION, elsewhere.VERSION, looks.fingerprint if looks is not None else None
        if hint.mask is None:
            return (dots.VERSION,)
        return None if looks is None else (outline.VERSION, looks.fingerprint)


def _ahead(steps: Iterator[T]) -> Generator[T, None, None]:
    """What comes next is walked and looked at while tracks are followed; but the first step is waited for."""
    for first in steps:
        yield first
        break
    with closing(ReadAhead(steps, depth=2)) as ahead:
        yield from ahead


def _in_turn(walks: Sequence[Iterator[int]]) -> Iterator[int]:
    """One frame of each walk, in turn, until all have ended."""
    going = list(walks)
    while going:
        for walk_on in tuple(going):
            n = next(walk_on, None)
            if n is None:
                going.remove(walk_on)
            else:
                yield n


def _places(luma: Array, manner: Manner) -> tuple[int, int] | None:
    """(w, h) of the places that looks are told of."""
    return asked_size(luma) if manner == "mask" else None


def _reaching(track: Track, n: int) -> Track:
    """The track carried as far as frame ``n`` at the least."""
    if n in track.reach:
        return track
    return replace(track, reach=FrameRange(min(n, track.reach.start), max(n + 1, track.reach.stop)))


def _frames(track: Track, side: int) -> range:
    return track.forward if side > 0 else track.backward
