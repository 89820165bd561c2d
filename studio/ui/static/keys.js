// The keys and what they do: one table, from which both the handling and the sheet of keys are made.

import { redo, undo, deleteHint, alter } from "./edits.js";
import { count, emit, goto, keyframes, rate, select, set, shotAt, store } from "./store.js";
import { ready } from "./frames.js";
import { toNeed } from "./need.js";
import { viewer } from "./viewer.js";

let speed = 0;
let timer = 0;

export const playing = () => speed !== 0;

// Shows every frame at the film's pace; where frames are not there yet it waits rather than skips.
function run() {
  cancelAnimationFrame(timer);
  if (!speed) return;
  const period = 1000 / (rate() * Math.abs(speed));
  let due = performance.now() + period;
  const tick = (now) => {
    if (!speed) return;
    if (now >= due) {
      const next = nextFrame();
      if (next === null) {
        stop();
        return;
      }
      const loaded = ready("coloured", store.frame) || now > due + 1500;
      if (loaded) {
        goto(next);
        due = Math.max(due + period, now - period);
      }
    }
    timer = requestAnimationFrame(tick);
  };
  timer = requestAnimationFrame(tick);
}

function nextFrame() {
  const next = store.frame + Math.sign(speed);
  const shot = store.loop ? shotAt(store.frame) : null;
  const [start, stop] = shot ? [shot.start, shot.stop] : [0, count()];
  if (next >= start && next < stop) return next;
  if (store.loop) return speed > 0 ? start : stop - 1;
  return null;
}

export function play(wanted) {
  speed = wanted;
  if (viewer) viewer.playing = speed !== 0;
  if (speed > 0 && !store.loop && store.frame === count() - 1) goto(0);
  run();
  emit("play", speed);
}

export const stop = () => {
  const was = speed;
  play(0);
  if (was) emit("frame");
};

export const toggle = () => (speed ? stop() : play(1));

const step = (by) => () => {
  if (speed) play(0);
  goto(store.frame + by);
};

export function toKeyframe(direction) {
  const all = keyframes();
  const next =
    direction > 0
      ? all.find((n) => n > store.frame)
      : all.reverse().find((n) => n < store.frame);
  if (next !== undefined) goto(next);
}

export function toggleCut() {
  const n = store.frame;
  if (n === 0) return;
  const begins = shotAt(n)?.start === n;
  alter("POST", "/cuts", { frame: n, on: !begins });
}

const choose = (tool) => () => viewer?.tools.choose(tool);

const mode = (wanted) => () => set({ mode: wanted }, "view");

function remove() {
  if (viewer?.tools.back()) return;
  if (store.selected) deleteHint(store.selected);
}

function escape() {
  if (viewer?.tools.cancel()) return;
  if (store.tool === "pick") viewer.tools.choose(viewer.tools.before);
  else select(null);
}

function zoom(factor) {
  if (!viewer) return;
  const { width, height } = viewer.area;
  viewer.camera.zoom(factor, { x: width / 2, y: height / 2 });
  viewer.refreshBar();
}

// [group, key as written, what it does, how it is matched, action]
export const KEYS = [
  ["Time", "← →", "one frame", "arrowleft", step(-1)],
  ["Time", "", "", "arrowright", step(1)],
  ["Time", "Shift ← →", "ten frames", "shift+arrowleft", step(-10)],
  ["Time", "", "", "shift+arrowright", step(10)],
  ["Time", "Home End", "first and last frame", "home", () => goto(0)],
  ["Time", "", "", "end", () => goto(count() - 1)],
  ["Time", "↑ ↓", "shot before and after", "arrowup", () => toShot(-1)],
  ["Time", "", "", "arrowdown", () => toShot(1)],
  ["Time", "[ ]", "keyframe before and after", "[", () => toKeyframe(-1)],
  ["Time", "", "", "]", () => toKeyframe(1)],
  ["Time", "Q", "next place in need of a hint", "q", () => toNeed(1)],
  ["Time", "Shift Q", "place in need before", "shift+q", () => toNeed(-1)],
  ["Time", "Space", "play and stop", " ", null],
  ["Time", "J K L", "play back, stop, play; again is faster", "j", () => play(speed < 0 ? speed * 2 : -1)],
  ["Time", "", "", "k", stop],
  ["Time", "", "", "l", () => play(speed > 0 ? speed * 2 : 1)],
  ["Time", "O", "loop the shot", "o", () => set({ loop: !store.loop }, "view")],
  ["Time", "G", "type a frame number", "g", () => document.getElementById("frame").select()],
  ["Time", "C", "begin or join a shot here", "c", toggleCut],
  ["Time", "Z", "timeline: shot or film", "z", () => emit("timeline-span")],
  ["Tools", "V", "select, move", "v", choose("select")],
  ["Tools", "P", "point", "p", choose("point")],
  ["Tools", "R", "region", "r", choose("region")],
  ["Tools", "S", "scribble", "s", choose("scribble")],
  ["Tools", "N", "neutral", "n", choose("neutral")],
  ["Tools", "X", "lock", "x", choose("lock")],
  ["Tools", "E", "eyedropper (or hold Alt)", "e", choose("pick")],
  ["Tools", ", .", "thinner and wider scribble", ",", () => width(0.8)],
  ["Tools", "", "", ".", () => width(1.25)],
  ["Hints", "Enter", "accept the region", "enter", () => viewer?.tools.accept()],
  ["Hints", "Shift click", "take away from the region", "", null],
  ["Hints", "drag, Ctrl drag", "a box, a loop around the region", "", null],
  ["Hints", "drag, Shift drag", "paint more of a marked region, or less", "", null],
  ["Hints", "Esc", "cancel, let go", "escape", escape],
  ["Hints", "Delete", "delete the hint; last click of a region", "delete", remove],
  ["Hints", "", "", "backspace", remove],
  ["Hints", "Ctrl Z", "undo", "ctrl+z", undo],
  ["Hints", "Ctrl Shift Z", "redo", "ctrl+shift+z", redo],
  ["Hints", "", "", "ctrl+y", redo],
  ["Hints", "Ctrl Enter", "render the shot", "ctrl+enter", () => emit("render-shot")],
  ["View", "B", "before, while held", "b", null],
  ["View", "A", "after", "a", mode("after")],
  ["View", "W", "wipe", "w", () => set({ mode: store.mode === "wipe" ? "after" : "wipe" }, "view")],
  ["View", "M", "matte of repair", "m", () => viewer?.toggleMatte()],
  ["View", "D", "doubt: where a hint is needed", "d", () => viewer?.toggleHeat()],
  ["View", "H", "hints on the picture", "h", () => set({ marks: !store.marks }, "view")],
  ["View", "F", "fit", "f", () => viewer?.fit()],
  ["View", "1", "one to one", "1", () => viewer?.actual()],
  ["View", "+ −", "zoom (or the wheel)", "+", () => zoom(1.25)],
  ["View", "", "", "=", () => zoom(1.25)],
  ["View", "", "", "-", () => zoom(0.8)],
  ["View", "Space drag", "move the picture (or middle button)", "", null],
  ["View", "?", "these keys", "?", () => emit("keys-sheet")],
];

function toShot(direction) {
  const shots = store.project?.shots ?? [];
  const at = shots.findIndex((s) => store.frame >= s.start && store.frame < s.stop);
  const next = shots[at + direction];
  if (next) goto(next.start);
  else if (direction < 0 && shots[0]) goto(shots[0].start);
}

function width(factor) {
  if (!viewer) return;
  viewer.tools.width = Math.max(1, Math.min(80, Math.round(viewer.tools.width * factor * 10) / 10));
  viewer.draw();
}

const table = new Map(KEYS.filter((k) => k[3] && k[4]).map((k) => [k[3], k[4]]));

const isTyping = (target) =>
  target.isContentEditable ||
  ["TEXTAREA", "SELECT"].includes(target.tagName) ||
  (target.tagName === "INPUT" && !["range", "checkbox", "radio", "button"].includes(target.type));

function name(event) {
  const key = event.key.toLowerCase();
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("ctrl");
  if (event.shiftKey && (key.length > 1 || /[a-z]/.test(key))) parts.push("shift");
  return [...parts, key].join("+");
}

export function listen() {
  document.addEventListener(
    "keydown",
    (event) => {
      if (!store.project || event.isComposing || document.querySelector("dialog[open]")) return;
      if (document.getElementById("picker")?.hidden === false) return;
      const key = name(event);
      if (isTyping(event.target) && !key.startsWith("ctrl+enter")) return;
      const onButton = event.target.tagName === "BUTTON" && (key === "enter" || key === " ");
      if (onButton && !viewer?.tools.making) return;
      if (key === " ") {
        event.preventDefault();
        if (!event.repeat && viewer) {
          viewer.spaceHeld = true;
          viewer.spaceUsed = false;
          viewer.stage.style.cursor = "grab";
        }
        return;
      }
      if (key === "b") {
        if (!event.repeat) set({ peek: true }, "view");
        return;
      }
      const act = table.get(key);
      if (!act) return;
      event.preventDefault();
      act();
    },
    true,
  );
  document.addEventListener(
    "keyup",
    (event) => {
      if (event.key === " " && viewer?.spaceHeld) {
        viewer.spaceHeld = false;
        viewer.stage.style.cursor = "";
        if (!viewer.spaceUsed) toggle();
      }
      if (event.key.toLowerCase() === "b" && store.peek) set({ peek: false }, "view");
    },
    true,
  );
  window.addEventListener("blur", () => {
    if (viewer) viewer.spaceHeld = false;
    if (store.peek) set({ peek: false }, "view");
  });
}
