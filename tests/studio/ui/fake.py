"""A stand-in for `studio.session.Session`: the same methods over a small synthetic film, no pipeline."""

from __future__ import annotations

import dataclasses
import functools
import json
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from core.contract.recipe import Recipe, StageSpec
from core.errors import InputError
from core.film.colour import hex_to_lab, join, luma_of

H, W, COUNT = 240, 320, 36
CUTS = (0, 12, 24)


# Left and top of the square on each shot's first frame.
SQUARES = ((60, 70), (180, 30), (20, 110))


@functools.cache
def ground(shot: int) -> np.ndarray:
    """What stands still in a shot: dark blotches, other ones in each."""
    noise = np.random.default_rng(shot).random((H // 8, W // 8)).astype(np.float32)
    blotches = cv2.resize(noise, (W, H), interpolation=cv2.INTER_CUBIC)
    return np.clip(0.1 + 0.35 * blotches, 0.05, 0.48)


def picture(n: int) -> np.ndarray:
    """Frame ``n``: a plain light square that moves over the ground, and the number in binary at the bottom."""
    shot = sum(n >= c for c in CUTS) - 1
    grey = ground(shot).copy()
    left, top = SQUARES[shot]
    left += 3 * (n - CUTS[shot])
    grey[top : top + 100, left : left + 90] = 0.62
    for bit in range(8):
        grey[H - 16 :, bit * 16 : bit * 16 + 16] = 0.9 if n >> bit & 1 else 0.1
    return np.repeat(np.rint(grey[..., None] * 255) / 255, 3, axis=2).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class FakeHint:
    id: str


class FakeSession:
    """See `studio.session.Session`."""

    def __init__(self, dir: Path, name: str = "Synthetic") -> None:
        self.dir = Path(dir)
        self.name = name
        self.version = 1
        self.carries = 0
        self._lock = threading.RLock()
        self._state: dict[str, Any] = {"regions": {}, "hints": {}, "cuts": list(CUTS), "masks": {}}
        self._recipe = Recipe((StageSpec("deflicker"), StageSpec("dedust"), StageSpec("colourise")), "auto")
        self._undo: list[tuple[str, str]] = []
        self._redo: list[tuple[str, str]] = []
        self._masks: dict[str, np.ndarray] = {}
        self._jobs: dict[str, dict[str, Any]] = {}
        self._cancel: set[str] = set()
        self._rendered: dict[int, str] = {}
        self.frame_seconds = 0.01

    @classmethod
    def create(cls, dir, source, rate=None, recipe="auto", plugins=None, report=lambda p: None):
        if Path(dir).exists():
            raise InputError(f"{dir}: a project already")
        Path(dir).mkdir(parents=True)
        return cls(dir, Path(dir).stem)

    @classmethod
    def open(cls, dir, plugins=None):
        return cls(dir, Path(dir).stem)

    def close(self) -> None:
        self._cancel.update(self._jobs)

    def describe(self) -> dict[str, Any]:
        starts = self._state["cuts"]
        stops = [*starts[1:], COUNT]
        shots = []
        for i, (a, b) in enumerate(zip(starts, stops, strict=True)):
            fresh = self._rendered.get(a) == self._shot_key(a, b)
            shots.append(
                {
                    "id": i,
                    "start": a,
                    "stop": b,
                    "begins": "start" if a == 0 else "cut" if a in CUTS else "hand",
                    "frames": b - a,
                    "rendered": b - a if fresh else 0,
                    "stale": 0 if fresh else b - a,
                    "state": "rendered" if fresh else "stale" if a in self._rendered else "new",
                }
            )
        return {
            "name": self.name,
            "dir": str(self.dir),
            "clip": {"path": "synthetic", "width": W, "height": H, "count": COUNT, "rate": "25"},
            "shots": shots,
            "recipe": json.loads(self._recipe.to_json()),
            "regions": list(self._state["regions"].values()),
            "hints": list(self._state["hints"].values()),
            "can_undo": bool(self._undo),
            "can_redo": bool(self._redo),
            "undo_label": self._undo[-1][0] if self._undo else "",
            "redo_label": self._redo[-1][0] if self._redo else "",
        }

    def _shot_key(self, a: int, b: int) -> str:
        hints = [h for h in self._state["hints"].values() if a <= h["frame"] < b]
        return json.dumps([hints, self._state["regions"], self._recipe.to_json()], sort_keys=True)

    def _edit(self, label: str) -> None:
        self._undo.append((label, json.dumps(self._state)))
        self._redo.clear()
        self.version += 1

    def add_hint(self, hint, mask=None, image=None):
        with self._lock:
            kind = hint.get("kind")
            if kind not in ("point", "scribble", "region", "neutral", "lock", "reference"):
                raise InputError(f"hint kind {kind!r} is unknown")
            if kind in ("region", "neutral", "lock") and mask is None:
                raise InputError(f"a {kind} hint needs a mask")
            self._edit(f"add {kind}")
            number = 1 + max((int(k[1:]) for k in self._state["hints"]), default=0)
            hint = {**hint, "id": f"h{number}"}
            if mask is not None:
                self._masks[hint["id"]] = mask
            self._state["hints"][hint["id"]] = hint
            return FakeHint(hint["id"])

    def update_hint(self, id, **changes):
        with self._lock:
            if id not in self._state["hints"]:
                raise InputError(f"there is no hint '{id}'")
            self._edit("change hint")
            told = {**self._state["hints"][id], **changes}
            self._state["hints"][id] = {k: v for k, v in told.items() if v is not None}

    def delete_hint(self, id):
        with self._lock:
            if id not in self._state["hints"]:
                raise InputError(f"there is no hint '{id}'")
            self._edit("delete hint")
            del self._state["hints"][id]

    def put_region(self, region):
        with self._lock:
            self._edit(f"set {region['name']}")
            self._state["regions"][region["id"]] = region

    def undo(self):
        with self._lock:
            if self._undo:
                label, state = self._undo.pop()
                self._redo.append((label, json.dumps(self._state)))
                self._state = json.loads(state)
                self.version += 1

    def redo(self):
        with self._lock:
            if self._redo:
                label, state = self._redo.pop()
                self._undo.append((label, json.dumps(self._state)))
                self._state = json.loads(state)
                self.version += 1

    def start_proposing(self, region):
        if region not in self._state["regions"]:
            raise InputError(f"region {region}: there is no such region")
        self._waiting = {"p1": {"id": "p1", "region": region, "shot": 1, "frame": 14, "score": 0.8, "share": 0.1}}

    def proposals(self):
        rows = list(getattr(self, "_waiting", {}).values())
        return {"region": "", "state": "done", "done": 3, "total": 3, "fault": "", "rows": rows}

    def proposal_mask(self, id):
        if id not in self._waiting:
            raise InputError(f"proposal '{id}': there is none")
        return np.ones((H, W), bool)

    def confirm_proposal(self, id):
        mask, row = self.proposal_mask(id), self._waiting.pop(id)
        return self.add_hint({"frame": row["frame"], "kind": "region", "region": row["region"]}, mask=mask)

    def reject_proposal(self, id):
        del self._waiting[id]

    def set_cut(self, frame, on):
        with self._lock:
            self._edit("set cut")
            cuts = {*self._state["cuts"], frame} if on else {*self._state["cuts"]} - {frame}
            self._state["cuts"] = sorted({0, *cuts})

    def set_recipe(self, recipe):
        if isinstance(recipe, str):
            recipe = dataclasses.replace(self._recipe, name=recipe)
        self._recipe = recipe
        self.version += 1

    def import_hints(self, file):
        raise InputError(f"{file}: there is no such file")

    def export_hints(self, file):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        hints = list(self._state["hints"].values())
        Path(file).write_text(json.dumps({"version": 1, "regions": [], "hints": hints}))

    def check_hints(self):
        rows = [{"id": h["id"], "frame": h["frame"], "delta_e": 0.4} for h in self._state["hints"].values()]
        return {"hints": rows, "median": 0.4, "max": 0.4}

    def source_picture(self, n):
        return picture(n)

    def restored_picture(self, n):
        return picture(n)

    def coloured_picture(self, n):
        return self.preview(n)

    def preview(self, n, extra=None, side=None):
        grey = picture(n)
        luma = luma_of(grey)
        ab = np.zeros((H, W, 2), np.float32) + np.float32([4, 10])
        shot = next(s for s in self.describe()["shots"] if s["start"] <= n < s["stop"])
        hints = [h for h in self._state["hints"].values() if shot["start"] <= h["frame"] < shot["stop"]]
        if extra:
            hints.append(extra)
        for hint in hints:
            colour = hint.get("colour") or self._state["regions"].get(hint.get("region"), {}).get("colour")
            mask = self._where(hint, grey)
            shift = 3 * (n - hint["frame"])
            moved = np.roll(mask, shift, axis=1)
            if hint["kind"] == "neutral":
                ab[moved] = 0
            elif colour and hint["kind"] != "lock":
                ab[moved] = hex_to_lab(colour)[1:]
        return join(luma, ab)

    def _where(self, hint, grey):
        if hint.get("id") in self._masks:
            return self._masks[hint["id"]]
        if isinstance(hint.get("mask"), np.ndarray):
            return hint["mask"]
        mask = np.zeros((H, W), bool)
        if hint["kind"] == "point":
            x, y = (int(v) for v in hint["xy"])
            same = np.abs(grey[..., 0] - grey[min(y, H - 1), min(x, W - 1), 0]) < 0.02
            _, labels = cv2.connectedComponents(same.astype(np.uint8))
            mask = labels == labels[min(y, H - 1), min(x, W - 1)]
        elif hint["kind"] == "scribble":
            line = np.zeros((H, W), np.uint8)
            points = np.array(hint["path"], np.int32).reshape(-1, 1, 2)
            cv2.polylines(line, [points], False, 1, int(hint.get("width", 6)))
            mask = line > 0
        return mask

    def need(self, near, since=0):
        rows = [[n, 0.1 * n, 5.0, 7.0] for n in range(3)]
        return {"rows": rows[since:], "serial": len(rows), "due": COUNT - len(rows), "fault": ""}

    def need_map(self, n):
        return np.full((4, 6), 0.5, np.float32) if n < 3 else None

    def hint_mask(self, id):
        return self._masks.get(id)

    def suggest(self, n, x, y, count=5):
        return [{"colour": "#4b5a3c", "share": 0.6}, {"colour": "#7a5a40", "share": 0.3}][:count]

    def prepare_segment(self, n):
        self.looked_at = n

    def segment(self, n, points, box=None, lasso=None, strokes=()):
        grey = picture(n)
        mask = np.zeros((H, W), bool)
        for x, y, positive in points:
            part = self._where({"kind": "point", "xy": [x, y]}, grey)
            mask = mask | part if positive else mask & ~part
        for stroke in strokes:
            x, y = stroke.path[0]
            mask[int(y), int(x)] = stroke.inside
        return mask

    def start_render(self, shot=None, purpose="shot", out=None):
        id = f"j{len(self._jobs) + 1}"
        shots = self.describe()["shots"]
        todo = [shots[shot]] if shot is not None else shots
        total = sum(s["stop"] - s["start"] for s in todo)
        self._jobs[id] = {
            "id": id,
            "purpose": purpose,
            "shot": shot,
            "out": str(out) if out else None,
            "queued": time.time(),
            "state": "running",
            "stage": "colourise",
            "done": 0,
            "total": total,
            "seconds_left": None,
            "error": "",
            "result": None,
        }
        threading.Thread(target=self._work, args=(id, todo), daemon=True).start()
        return id

    def _work(self, id, shots):
        job = self._jobs[id]
        for shot in shots:
            for _ in range(shot["start"], shot["stop"]):
                if id in self._cancel:
                    job["state"] = "cancelled"
                    return
                time.sleep(self.frame_seconds)
                job["done"] += 1
                job["seconds_left"] = (job["total"] - job["done"]) * self.frame_seconds
            self._rendered[shot["start"]] = self._shot_key(shot["start"], shot["stop"])
        job["state"] = "done"
        job["result"] = {"frames": job["total"], "seconds": 1.0, "output": job["out"]}

    def job(self, id):
        return self._jobs[id]

    def jobs(self):
        return [dict(j) for j in self._jobs.values()]

    def cancel(self, id):
        self._cancel.add(id)

    def resume(self, id):
        self._cancel.discard(id)
        raise InputError(f"job '{id}' cannot be resumed")

    def matte(self, n):
        mask = np.zeros((H, W), np.float32)
        mask[10:20, 10:20] = 1
        return mask

    def subscribe(self, callback):
        return lambda: None
