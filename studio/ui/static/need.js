// Where a hint is needed: what the server has worked out so far, and the way to the next such place.

import { getJson } from "./api.js";
import { emit, follow, goto, on, remember, set, shotAt, store } from "./store.js";
import { toast } from "./toast.js";

const ASK_MS = 500;
// A frame less of which is likely to be wrong than this is in no need, however good the others are.
const LEAST = 0.05;

let rows = new Map(); // frame → { share, x, y }
let serial = 0;
let asking = false;
let timer = 0;

export const needOf = (n) => (store.need ? rows.get(n) ?? null : null);

// Frames of a shot that are known, in order, each with the span it stands for.
export function spansOf(shot) {
  const frames = [...rows.keys()].filter((n) => n >= shot.start && n < shot.stop).sort((a, b) => a - b);
  return frames.map((n, i) => ({
    frame: n,
    share: rows.get(n).share,
    from: i ? (frames[i - 1] + n + 1) / 2 : shot.start,
    to: i + 1 < frames.length ? (n + frames[i + 1] + 1) / 2 : shot.stop,
  }));
}

// The neediest frame of every stretch of frames in need; no stretch passes a cut.
export function places() {
  const greatest = Math.max(0, ...[...rows.values()].map((row) => row.share));
  const least = Math.max(LEAST, greatest / 2);
  const found = [];
  for (const shot of store.project?.shots ?? []) {
    let best = null;
    for (const span of [...spansOf(shot), null]) {
      if (span && span.share >= least) {
        if (!best || span.share > best.share) best = span;
      } else if (best) {
        found.push(best.frame);
        best = null;
      }
    }
  }
  return found;
}

export function toNeed(direction) {
  const all = places();
  if (!all.length) {
    toast(store.due ? "still working out where hints are needed" : "no frame is in need of a hint", "note");
    return;
  }
  const next =
    direction > 0
      ? all.find((n) => n > store.frame) ?? all[0]
      : all.findLast((n) => n < store.frame) ?? all.at(-1);
  set({ pointed: next }, "view");
  goto(next);
}

export function toggleNeed() {
  set({ need: !store.need }, "view");
  remember("need", store.need);
  emit("need");
  soon(0);
}

async function look() {
  clearTimeout(timer);
  if (!store.need || !store.project || document.hidden || asking) return;
  asking = true;
  let again = false;
  try {
    const told = await getJson(`/need?near=${store.frame}&since=${serial}`);
    if (told.serial < serial) forget(); // another session's numbers
    else {
      for (const [n, share, x, y] of told.rows) rows.set(n, { share, x, y });
      serial = told.serial;
    }
    again = told.serial < serial || (told.due > 0 && !told.fault);
    store.due = told.due;
    emit("need");
  } catch {
    again = true; // the server is away for a moment; whether it comes back is told elsewhere
  }
  asking = false;
  if (again) soon(ASK_MS);
}

function soon(ms) {
  clearTimeout(timer);
  timer = setTimeout(look, ms);
}

function forget() {
  rows = new Map();
  serial = 0;
}

export function watch() {
  on("open", forget);
  let last = null;
  on("frame", () => {
    const shot = shotAt(store.frame)?.start;
    if (shot !== last) soon(ASK_MS);
    last = shot;
  });
  document.addEventListener("visibilitychange", () => soon(0));
  follow(["project"], () => soon(0));
}
