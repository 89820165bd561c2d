// What the page knows. The server's session is the truth; this is its reflection plus the view of one tab.

import { getJson } from "./api.js";

const listeners = new Map();

export const on = (topic, listener) => {
  if (!listeners.has(topic)) listeners.set(topic, []);
  listeners.get(topic).push(listener);
};

export const emit = (topic, value) => {
  for (const listener of listeners.get(topic) || []) listener(value);
};

const remembered = (key, fallback) => {
  try {
    return JSON.parse(localStorage.getItem(`pochoir.${key}`)) ?? fallback;
  } catch {
    return fallback;
  }
};

export const remember = (key, value) => {
  try {
    localStorage.setItem(`pochoir.${key}`, JSON.stringify(value));
  } catch {
    // A browser without storage forgets; nothing of value is kept there.
  }
};

export const store = {
  loaded: false,
  serial: 0,
  carries: 0,
  project: null,
  jobs: [],
  recent: [],
  opening: null,
  error: "",
  browse: false,
  online: true,
  saving: 0,
  frame: 0,
  side: null, // longest side of the picture in pixels of the screen, where the film has more
  tool: "point",
  mode: "after",
  before: "source",
  matte: false,
  need: remembered("need", true), // whether it is worked out where hints are needed
  due: 0, // frames for which that is still to be done
  heat: false,
  proposal: null, // the place like a region's that is being looked at
  pointed: null, // the frame on which a place in need is pointed at
  marks: true,
  peek: false,
  selected: null,
  colour: remembered("colour", "#4b5a3c"),
  region: null,
  recentColours: remembered("colours", []),
  author: remembered("author", ""),
  tab: "hints",
  which: "shot",
  loop: false,
};

export const count = () => store.project?.clip.count ?? 0;

export function rate() {
  const [above, below] = String(store.project?.clip.rate ?? "25").split("/");
  return Number(above) / Number(below || 1);
}

export const shotAt = (n) => store.project?.shots.find((s) => n >= s.start && n < s.stop) ?? null;

export const hintById = (id) => store.project?.hints.find((h) => h.id === id) ?? null;

export const regionById = (id) => store.project?.regions.find((r) => r.id === id) ?? null;

export const colourOf = (hint) => hint.colour || regionById(hint.region)?.colour || null;

export const keyframes = () =>
  [...new Set((store.project?.hints ?? []).map((h) => h.frame))].sort((a, b) => a - b);

export function set(values, topic) {
  Object.assign(store, values);
  emit(topic);
}

export function goto(n) {
  const last = count() - 1;
  if (last < 0) return;
  const frame = Math.max(0, Math.min(last, Math.round(n)));
  if (frame === store.frame) return;
  set({ frame }, "frame");
  history.replaceState(null, "", `#${frame}`);
}

export function select(id) {
  store.selected = id;
  const hint = id && hintById(id);
  if (hint) {
    const colour = colourOf(hint);
    if (colour) store.colour = colour;
    store.region = hint.region || null;
    emit("colour");
  }
  emit("selection");
}

export function useColour(colour, { keep = true } = {}) {
  store.colour = colour.toLowerCase();
  remember("colour", store.colour);
  if (keep) keepColour(store.colour);
  emit("colour");
}

export function keepColour(colour) {
  store.recentColours = [colour, ...store.recentColours.filter((c) => c !== colour)].slice(0, 16);
  remember("colours", store.recentColours);
  emit("recent");
}

// Ask for everything again; what changed is told to whoever listens.
export async function refresh() {
  const told = await getJson("/state");
  const other = told.serial !== store.serial;
  const first = !store.loaded;
  Object.assign(store, {
    loaded: true,
    serial: told.serial,
    project: told.project,
    carries: told.project?.carries ?? 0,
    jobs: told.jobs,
    recent: told.recent,
    opening: told.opening,
    error: told.error,
    browse: told.browse,
  });
  if (other) {
    const asked = first ? Number(location.hash.slice(1)) || 0 : 0;
    store.frame = Math.max(0, Math.min(count() - 1, asked));
    store.selected = null;
    store.region = null;
    emit("open");
  }
  if (store.selected && !hintById(store.selected)) store.selected = null;
  if (store.region && !regionById(store.region)) store.region = null;
  emit("project");
  emit("jobs");
}

const isBusy = () => store.opening || store.jobs.some((j) => j.state === "running" || j.state === "queued");

// Short polls instead of a standing stream: over HTTP/1.1 a browser allows six connections to one server
// for all its tabs, and Gradio keeps one of them per tab.
async function poll() {
  let pause = document.hidden ? 5000 : isBusy() ? 350 : 1200;
  try {
    const told = await getJson("/events");
    const ended = told.jobs.filter((j) => j.state === "done").length;
    const known = store.jobs.filter((j) => j.state === "done").length;
    const moved =
      told.serial !== store.serial ||
      told.version !== (store.project?.version ?? null) ||
      told.carries !== store.carries;
    Object.assign(store, { jobs: told.jobs, opening: told.opening, error: told.error });
    if (!store.online) set({ online: true }, "online");
    if (moved || ended !== known || !store.loaded) await refresh();
    else emit("jobs");
  } catch {
    if (store.online) set({ online: false }, "online");
    pause = 2000;
  }
  setTimeout(poll, pause);
}

let begun = false;

// Each panel calls this once it stands; the first call begins to listen to the server.
export function begin() {
  if (begun) return;
  begun = true;
  // The panels load one after another; none must miss the first state.
  setTimeout(poll, 0);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refresh().catch(() => {});
  });
}

// A panel draws itself from what is known already, then whenever its topics are told.
export function follow(topics, draw) {
  for (const topic of topics) on(topic, draw);
  draw();
  begin();
}
