"""The restorer's hints as the colouring sees them: fulfils `core.colourise.HintSource`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from core.colourise import Store
from core.contract.fingerprint import fingerprint
from core.contract.progress import CancelToken, Progress, Report
from core.contract.stage import Timeline
from core.film.colour import Array
from core.film.shot import Shot, shot_of
from core.film.timebase import FrameRange
from core.flow import DisFlow, FlowEstimator, working_size
from hints.carry import Tracks, Ways
from hints.colour_rule import anchor_of, anchoring, asked
from hints.compete import Neighbours, contested, name_of
from hints.field import HintField, Layer, blend, compose, unite
from hints.footprint import footprint
from hints.hint import Hint, HintSet
from hints.layers import NOTHING, Kept
from hints.meet import Meetings
from hints.propagate import Motion
from hints.track import REFERENCES, Track, counts, tracks_of

VERSION = 8
# A lock holds where its mask was carried with at least this trust.
_LOCK_TRUST = 0.3
FOUND = 0.5  # trust from which a place of the keyframe counts as found in a picture from elsewhere
_FIELDS_HELD = 4
_LAYERS_HELD = 96  # layers of one frame that are at hand for the next question about it

Inside = NDArray[np.bool_]


class Carried:
    """All hints of a sequence, carried through their shots.

    Fields are composed from the tracks' layers when they are asked for; what is kept is geometry. Keys are told from
    what is said and from the tracks' keys, without the film: where they are equal, fields are.

    Args:
        hints: what the restorer says.
        timeline: the colouring's input.
        source_size: (H, W) of the source picture that the hints' coordinates are of.
        motion: luma and flow of the colouring's input; where it says what places look like (``looks``), masks are
            followed by that too.
        store: where tracks and keys are kept.
        estimator: finds direct flow from a keyframe; by default the one that ``motion`` uses, if it says so.
    """

    def __init__(
        self,
        hints: HintSet,
        timeline: Timeline,
        source_size: tuple[int, int],
        motion: Motion,
        store: Store,
        estimator: FlowEstimator | None = None,
    ) -> None:
        self.hints = hints
        self.timeline = timeline
        self._motion, self._store = motion, store
        found_by: FlowEstimator = getattr(motion, "estimator", None) or estimator or DisFlow()
        self._estimator = estimator or found_by
        self.size = working_size(*timeline.size)
        looks = getattr(motion, "looks", None)
        self._ways = Ways(motion, self._estimator, store, source_size, self.size, found_by.fingerprint, looks)
        self._tracks = Tracks(self._ways)
        self._neighbours = Neighbours(self._tracks.key, self.size)
        self._anchors: dict[str, float] = {}
        self._meetings = Meetings(self._tracks.at, self._tracks.key, self.size)
        self._field_keys: dict[int, str | None] = {}
        self._painted: tuple[int, list[tuple[Inside, Carried]]] | None = None
        self._frozen_sources: dict[str, Carried] = {}
        self._held: dict[int, HintField | None] = {}
        self._by_shot: dict[int, Sequence[Track]] = {}
        self._made: dict[int, dict[str, Layer]] = {}

    def saying(self, hints: HintSet) -> Carried:
        """The same film under other hints. What both say alike is worked out once."""
        other = Carried(hints, self.timeline, self._ways.source_size, self._motion, self._store, self._estimator)
        # Keys of tracks and layers hold geometry, film and colour, not the set they are in.
        other._tracks, other._made = self._tracks, self._made
        other._anchors, other._meetings, other._neighbours = self._anchors, self._meetings, self._neighbours
        return other

    # -- reach and carrying -------------------------------------------------------------------------

    @cached_property
    def tracks(self) -> tuple[Track, ...]:
        """All hints as tracks, in order."""
        return tracks_of(self.hints, self.timeline)

    def reach(self, shot: Shot) -> FrameRange:
        """Frames of a shot that its hints may touch at most; empty where it has none."""
        # Nothing of the film is looked at here; whom a reference bounds makes no difference to all together.
        ranges = [t.reach for t in self.tracks if t.shot.range == shot.range and counts(t.hint)]
        if not ranges:
            return FrameRange(shot.range.start, shot.range.start)
        return FrameRange(min(r.start for r in ranges), max(r.stop for r in ranges))

    def ready(self, shot: Shot) -> bool:
        """Whether all tracks of a shot are kept already."""
        sources = self._sources(shot)
        if any(self._tracks.known_from_elsewhere(t) is None for source in sources for t in source._rivals(shot)):
            return False
        return all(self._tracks.ready(t) for source in sources for t in source._of(shot))

    def prepare(self, span: FrameRange, report: Report, token: CancelToken) -> None:
        """Find and keep the flow and the looks of frames of one shot, so that hints placed there are carried quickly.

        Raises:
            Cancelled: the token was set; what was found so far is kept.
        """
        shot = shot_of(self.timeline.shots, span.start)

        def done(n: int) -> None:
            report(Progress("prepare", shot.id, n + 1 - span.start, len(span)))

        self._tracks.prepare(range(span.start, span.stop), token, done)

    def carry(self, shot: Shot, report: Report, token: CancelToken) -> None:
        """Carry what is missing of a shot's tracks, frame by frame, and keep it; of those that locks keep too.

        Raises:
            Cancelled: the token was set.
        """
        wanted = self._all_of(shot)
        total = self._tracks.frames_to_carry(wanted)
        finished = 0

        def done(_: int) -> None:
            nonlocal finished
            finished += 1
            report(Progress("carry hints", shot.id, finished, total))

        self._tracks.carry(wanted, token, done)

    def _of(self, shot: Shot) -> Sequence[Track]:
        """Tracks of a shot, in order. Which of several references are from elsewhere is told by their keyframes."""
        if shot.range.start not in self._by_shot:
            strange = {t.place for t in self._rivals(shot) if self._tracks.from_elsewhere(t)}
            tracks = tracks_of(self.hints, self.timeline, strange) if strange else self.tracks
            self._by_shot[shot.range.start] = [t for t in tracks if t.shot.range == shot.range]
        return self._by_shot[shot.range.start]

    def _rivals(self, shot: Shot) -> list[Track]:
        """Whole references of a shot, where there are several."""
        whole = [t for t in self.tracks if t.group == REFERENCES and t.shot.range == shot.range]
        return whole if len(whole) > 1 else []

    # -- what is said ---------------------------------------------------------------------------------

    def key(self, n: int) -> str | None:
        """Content key of what is said about frame ``n``; None where nothing is."""
        told: dict[Carried, str | None] = {}
        for source in reversed(self._sources(shot_of(self.timeline.shots, n))):
            field = source._field_key(n)
            held = [(self._tracks.key(t, n), told[source._frozen_of(t.hint)]) for t in source._locking(n)]
            # The last lock changes nothing where what it keeps is what is said without it.
            while held and held[-1][1] == _said(field, held[:-1]):
                held.pop()
            told[source] = _said(field, held)
        return told[self]

    def field(self, n: int) -> HintField | None:
        """What all hints say about frame ``n``, at working size; None where they say nothing.

        A layer that is no longer kept is carried again.
        """
        if n not in self._held:
            while len(self._held) >= _FIELDS_HELD:
                self._held.pop(next(iter(self._held)))
            self._held[n] = self._composed(n, self._speaking(n))
        return self._held[n]

    def known(self, track: Track, n: int) -> bool:
        """Whether what a track says of frame ``n`` can be told without carrying anything."""
        return n == track.keyframe or self._tracks.held(track, n) is not None

    def at_once(self, n: int) -> HintField | None:
        """What is known about frame ``n`` now, nothing carried for it: for a preview while tracks are made."""
        return self._composed(n, [t for t in self._speaking(n) if self.known(t, n)], at_once=True)

    def layer_of(self, region: str, n: int) -> Layer | None:
        """What one region's hints say of frame ``n``, apart from all others: its mask, trust and chroma."""
        return next(iter(self._layers(n, [t for t in self._speaking(n) if t.hint.region == region]).values()), None)

    def found(self, track: Track) -> float | None:
        """Share of its keyframe that was found in a reference from elsewhere; None for all other hints."""
        if not self._tracks.from_elsewhere(track):
            return None
        kept = self.on_keyframe(track)
        return float((kept.trust >= FOUND).sum() / (self.size[0] * self.size[1]))

    def on_keyframe(self, track: Track) -> Kept:
        """What a track says of its keyframe, at working size; empty where that is nothing."""
        return self._tracks.at(track, track.keyframe) or NOTHING

    def age(self, n: int) -> Array:
        """Frames from ``n`` to the nearest keyframe that speaks of a place; 0 where none does  [(h, w) float32]."""
        far = np.full(self.size, np.inf, np.float32)
        for track in self._speaking(n):
            frames = np.float32(abs(n - track.keyframe))
            if track.hint.mask is None:
                np.minimum(far, frames, out=far)
                continue
            kept = self._tracks.at(track, n)
            if kept is not None:
                here = far[kept.box]
                here[kept.cover > 0.5] = np.minimum(here, frames)[kept.cover > 0.5]
        return np.where(np.isfinite(far), far, np.float32(0))

    def approved(self, n: int) -> Array:
        """Where locks hold what is approved of frame ``n``  [(h, w) float32 [0, 1]]."""
        held = np.zeros(self.size, np.float32)
        for track in self.tracks:
            if track.hint.kind == "lock" and n in track.reach:
                mask = self._lock_mask(track, n).astype(np.float32)
                size = (self.size[1], self.size[0])
                np.maximum(held, cv2.resize(mask, size, interpolation=cv2.INTER_AREA), out=held)
        return held

    def locks(self, n: int) -> Sequence[tuple[Inside, Carried]]:
        """Locked areas of frame ``n``, each with the hints that rule there; no two share a pixel.

        An area in which all that is said is what its lock keeps is left out.
        """
        if self._painted is None or self._painted[0] != n:
            self._painted = (n, self._ruled(n) if self._locking(n) else [])
        return self._painted[1]

    def _composed(self, n: int, speaking: Sequence[Track], *, at_once: bool = False) -> HintField | None:
        made = self._layers(n, speaking, at_once)
        background = [layer for group, layer in made.items() if group[0] == "reference"]
        groups = [group for group in made if group[0] != "reference"]
        place = {group: i for i, group in enumerate(groups)}
        beside = {
            (min(place[a], place[b]), max(place[a], place[b]))
            for a, b in self._neighbours.among(n, speaking, self._tracks.held if at_once else self._found)
            if a in place and b in place
        }
        painted = {place[group] for group in map(name_of, (t for t in speaking if t.keyframe == n)) if group in place}
        layers = [made[group] for group in groups]
        if beside:
            layers = contested(layers, beside, painted, self._motion.luma(n))
        return compose(background, layers, self.size, beside)

    def _found(self, track: Track, n: int) -> Kept:
        return self._tracks.at(track, n) or NOTHING

    def _layers(self, n: int, speaking: Sequence[Track], at_once: bool = False) -> dict[tuple[str, ...], Layer]:
        """Layers in order, one for each region or hint that stands for itself, its keyframes blended."""
        luma: Array | None = None
        groups: dict[tuple[str, ...], dict[int, list[tuple[Track, Layer]]]] = {}
        strange = {track.place for track in speaking if self._tracks.from_elsewhere(track)}
        # What shows the very frame lies over what was only matched to it.
        for track in sorted(speaking, key=lambda t: t.place not in strange):
            luma = self._motion.luma(n) if luma is None else luma
            layer = self._layer(track, n, luma)
            if layer.cover.size == 0:
                continue
            group = name_of(track)
            sides = groups.setdefault(group, {})
            sides.setdefault(track.keyframe, []).append((track, layer))
        layers: dict[tuple[str, ...], Layer] = {}
        for group, sides in groups.items():
            united = []
            for some in sides.values():
                layer = unite([layer for _, layer in some], self.size)
                track = some[0][0]
                known = None if at_once else self._of(track.shot)
                united.append((layer, self._meetings.loudness(track, n, float(layer.cover.sum()), known)))
            layers[group] = blend(united, self.size, pictures=group[0] == "reference")
        return layers

    def _speaking(self, n: int) -> list[Track]:
        return [t for t in self._of(shot_of(self.timeline.shots, n)) if t.hint.kind != "lock" and t.speaks(n)]

    def _layer(self, track: Track, n: int, luma: Array) -> Layer:
        """What one track says of frame ``n``; kept at hand, for most of it is the same after the next click."""
        key = fingerprint(self._tracks.key(track, n), self._colour(track, n), track.hint.strength)
        if n not in self._made:
            # A render never comes back to a frame: what it held would only take memory.
            self._made.clear()
        made = self._made.setdefault(n, {})
        layer = made.pop(key, None) or self._make_layer(track, n, luma)
        made[key] = layer
        if len(made) > _LAYERS_HELD:
            made.pop(next(iter(made)))
        return layer

    def _make_layer(self, track: Track, n: int, luma: Array) -> Layer:
        hint, kept = track.hint, self._tracks.at(track, n) or NOTHING
        ab = kept.ab
        if ab is None:
            ab = asked(hint, self.hints, luma[kept.box], self._anchor(track, n)).ab
        trust = kept.trust * np.float32(hint.strength)
        strength = None if hint.strength == 1 else np.full_like(trust, hint.strength)
        return Layer(kept.box, ab, kept.cover, trust, hint.spreads, kept.tenure, strength)

    def _anchor(self, track: Track, n: int) -> float | None:
        first = anchoring(track, self._of(track.shot), self.hints, n)
        if first is None:
            return None
        key = self._tracks.key(first, first.keyframe)
        if key not in self._anchors:
            cover = footprint(first.hint, self._ways.source_size, self.size)
            self._anchors[key] = anchor_of(self._motion.luma(first.keyframe), cover)
        return self._anchors[key]

    def _field_key(self, n: int) -> str | None:
        """Key of the field alone, by all that it is made from: nothing is composed for it, and no frame looked at.

        Tracks of which nothing is on the frame are left out. An anchor hangs on the key of the track that gives it.
        """
        if n not in self._field_keys:
            self._field_keys[n] = self._make_field_key(n)
        return self._field_keys[n]

    def _make_field_key(self, n: int) -> str | None:
        speaking = self._speaking(n)
        there = [t for t in speaking if self._tracks.there(t, n)]
        if not there:
            return None
        place = {group: i for i, group in enumerate(dict.fromkeys(map(name_of, there)))}
        beside = self._neighbours.among(n, speaking, self._found)
        return fingerprint(
            "field of",
            VERSION,
            self._motion.luma_key(n),
            [(self._tracks.key(t, n), t.nearness(n), t.group, self._colour(t, n), t.hint.strength) for t in there],
            [self._meetings.depends_on(t, n, self._of(t.shot)) for t in there],
            [(place[a], place[b]) for a, b in beside if a in place and b in place],
            any(self._tracks.from_elsewhere(t) for t in speaking),
        )

    def _colour(self, track: Track, n: int) -> tuple[object, ...]:
        hint, first = track.hint, anchoring(track, self._of(track.shot), self.hints, n)
        light = None if first is None else self._tracks.key(first, first.keyframe)
        return hint.kind, hint.ramp, self.hints.colour_of(hint), light, hint.spreads

    # -- locks ------------------------------------------------------------------------------------------

    def _sources(self, shot: Shot) -> list[Carried]:
        """This and what locks of a shot keep, locks within locks too, each once; what is kept after what keeps it."""
        found: dict[str | None, Carried] = {None: self}
        to_ask = [self]
        while to_ask:
            source = to_ask.pop()
            for track in (t for t in source.tracks if t.shot.range == shot.range):
                if track.hint.kind == "lock" and track.hint.keeps not in found:
                    found[track.hint.keeps] = self._frozen_of(track.hint)
                    to_ask.append(self._frozen_of(track.hint))
        return sorted(found.values(), key=lambda s: max((h.depth for h in s.hints), default=0), reverse=True)

    def _all_of(self, shot: Shot) -> list[Track]:
        """Tracks of a shot, and those that its locks keep."""
        return list(dict.fromkeys(t for source in self._sources(shot) for t in source._of(shot)))

    def _frozen_of(self, hint: Hint) -> Carried:
        if hint.keeps is None:
            raise AssertionError(f"lock {hint.id} was never put into a set")
        source = self._frozen_sources.get(hint.keeps)
        if source is None:
            source = self.saying(hint.frozen_set)
            # Locks within locks keep each other's sources: the same frozen hints are asked in one of them.
            source._frozen_sources = self._frozen_sources
            self._frozen_sources[hint.keeps] = source
        return source

    def _locking(self, n: int) -> list[Track]:
        """Locks that are there on frame ``n``, in order."""
        return [t for t in self.tracks if t.hint.kind == "lock" and n in t.reach and self._tracks.there(t, n)]

    def _ruled(self, n: int) -> list[tuple[Inside, Carried]]:
        """Who rules where something else is to be seen than the field of this set: areas that share no pixel.

        Each pixel goes to the first lock that holds it, then to the first one within what that lock keeps, and so on.
        """
        masks: dict[str, Inside] = {}
        to_share: dict[Carried, Inside] = {self: np.ones(self.timeline.size, np.bool_)}
        ruled: dict[str | None, tuple[Inside, Carried]] = {}
        for source in self._sources(shot_of(self.timeline.shots, n)):
            left = to_share.pop(source, None)
            if left is None:
                continue
            for track in source._locking(n):
                key = self._tracks.key(track, n)
                if key not in masks:
                    masks[key] = self._lock_mask(track, n)
                mine = masks[key] & left
                if mine.any():
                    kept = self._frozen_of(track.hint)
                    to_share[kept] = to_share[kept] | mine if kept in to_share else mine
                    left = left & ~mine
            field = source._field_key(n)
            if field != self._field_key(n) and left.any():
                other = ruled.get(field)
                ruled[field] = (left, source) if other is None else (other[0] | left, other[1])
        return list(ruled.values())

    def _lock_mask(self, track: Track, n: int) -> Inside:
        """The pixels of the full-size frame that a lock holds  [(H, W) bool]."""
        h, w = self.timeline.size
        mask = track.hint.mask
        if n == track.keyframe and mask is not None and mask.size == (h, w):
            return mask.inside
        cover = np.zeros(self.size, np.float32)
        kept = self._tracks.at(track, n)
        if kept is not None:
            cover[kept.box] = np.where(kept.trust >= _LOCK_TRUST, kept.cover, 0)
        full = cv2.resize(cover, (w, h), interpolation=cv2.INTER_LINEAR)
        return np.asarray(full > 0.5)


def _said(field: str | None, locks: Sequence[tuple[str, str | None]]) -> str | None:
    """Key of a field and of locks over it, each as its track's key and the key of what it keeps."""
    return fingerprint("said", VERSION, field, locks) if locks else field
