// The colour the next hint speaks of, its region and evidence, and the list of hints.

import { base64 } from "./api.js";
import { addReference, deleteHint, putRegion, updateHint } from "./edits.js";
import { icon } from "./icons.js";
import { anchor } from "./marks.js";
import { Picker } from "./picker.js";
import { mountProposals } from "./proposals.js";
import {
  colourOf, emit, follow, goto, hintById, keepColour, on, regionById, remember, select, set, shotAt, store,
} from "./store.js";
import { viewer } from "./viewer.js";

let at;

export function mount(element) {
  at = (id) => element.querySelector(`#${id}`);
  for (const button of element.querySelectorAll("#tabs button")) {
    button.onclick = () => set({ tab: button.dataset.tab }, "tab");
  }
  on("tab", () => drawTabs(element));
  drawTabs(element);
  new Picker(element, commit);
  on("picked", commit);
  on("selection", tellPlace);
  at("pick").innerHTML = icon("pick");
  at("pick").onclick = () => viewer?.tools.choose("pick");
  at("new-region").onclick = () => openEvidence(null);
  at("evidence-close").onclick = () => {
    at("evidence").hidden = true;
  };
  at("evidence").onsubmit = (event) => {
    event.preventDefault();
    saveEvidence();
  };
  for (const button of at("certainty").children) {
    button.onclick = () => chooseCertainty(button.dataset.value);
  }
  for (const button of at("which").children) {
    button.onclick = () => set({ which: button.dataset.value }, "which");
  }
  mountProposals(at);
  on("open", () => {
    at("evidence").hidden = true;
  });
  const slider = at("strength").querySelector("input");
  slider.oninput = () => tellStrength(slider.value);
  slider.onchange = () => {
    const strength = slider.value / 100;
    updateHint(store.selected, { strength: strength < 1 ? strength : null });
  };
  at("still").onchange = () => addStill(at("still"));
  follow(["project", "colour", "selection"], drawRegions);
  follow(["project", "selection"], drawStrength);
  follow(["project", "selection", "which", "frame", "checked"], drawHints);
  element.dataset.ready = "1";
}

// Where a person is at work now: there colours are suggested.
function tellPlace() {
  const hint = store.selected && hintById(store.selected);
  const place = hint && colourOf(hint) ? anchor(hint) : null;
  emit("place", place && { frame: hint.frame, ...place });
}

function drawTabs(element) {
  for (const button of element.querySelectorAll("#tabs button")) {
    const here = button.dataset.tab === store.tab;
    button.classList.toggle("on", here);
    button.setAttribute("aria-selected", here);
  }
  for (const tab of document.querySelectorAll(".tab")) tab.hidden = tab.dataset.tab !== store.tab;
}

// How far the chosen hint goes from the automatic colour to its own; a lock keeps what was approved, wholly.
function drawStrength() {
  const hint = store.selected && hintById(store.selected);
  at("strength").hidden = !hint || hint.kind === "lock";
  if (at("strength").hidden) return;
  const percent = Math.round(100 * (hint.strength ?? 1));
  at("strength").querySelector("input").value = percent;
  tellStrength(percent);
}

const tellStrength = (percent) => {
  at("strength").querySelector("output").textContent = `${percent} %`;
};

// A colour was chosen: it goes to the chosen hint or region, else to the next hint.
async function commit(colour) {
  const hint = store.selected && hintById(store.selected);
  if (store.region) {
    const region = regionById(store.region);
    if (region && region.colour !== colour) await putRegion({ ...region, colour });
  } else if (hint && "colour" in hint && hint.colour && hint.colour !== colour) {
    await updateHint(hint.id, { colour });
  }
  if (store.region || hint) keepColour(colour);
  viewer?.tools.tint();
  viewer?.draw();
}

// ---------------------------------------------------------------- regions

function drawRegions() {
  const regions = store.project?.regions ?? [];
  const chip = (region) => {
    const button = document.createElement("button");
    button.className = `chip${(region?.id ?? null) === store.region ? " on" : ""}`;
    const sure = region?.evidence?.certainty;
    button.innerHTML = `<span class="swatch"></span><span class="name"></span>${
      sure ? `<i class="sure" title="${sure}" data-sure="${sure}"></i>` : ""
    }`;
    const swatch = button.querySelector(".swatch");
    if (region) swatch.style.background = region.colour;
    else swatch.classList.add("none");
    button.querySelector(".name").textContent = region ? region.name : "none, colour only";
    button.onclick = () => {
      store.region = region?.id ?? null;
      store.selected = null;
      if (region) store.colour = region.colour;
      emit("colour");
      emit("selection");
    };
    if (region) button.ondblclick = () => openEvidence(region);
    button.title = region ? `${region.name}: double click for its evidence` : "The next hint has a bare colour";
    return button;
  };
  at("regions").replaceChildren(chip(null), ...regions.map(chip));
  const hint = store.selected && hintById(store.selected);
  const region = store.region && regionById(store.region);
  const uses = region ? store.project.hints.filter((h) => h.region === region.id).length : 0;
  at("colour-note").textContent = region
    ? `${region.name}, ${uses} hint${uses === 1 ? "" : "s"}`
    : hint
      ? `colour of hint ${hint.id}`
      : "for the next hint";
}

let editing = null;
let certainty = "inferred";

function chooseCertainty(value) {
  certainty = value;
  for (const button of at("certainty").children) button.classList.toggle("on", button.dataset.value === value);
}

function openEvidence(region) {
  editing = region;
  const form = at("evidence");
  form.hidden = false;
  form.elements.name.value = region?.name ?? "";
  form.elements.source.value = region?.evidence?.source ?? "";
  form.elements.author.value = region?.evidence?.author ?? store.author;
  chooseCertainty(region?.evidence?.certainty ?? "inferred");
  form.elements.name.focus();
}

function freeId(name) {
  const stem = name.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "region";
  const taken = new Set(store.project.regions.map((r) => r.id));
  let id = stem;
  for (let i = 2; taken.has(id); i++) id = `${stem}-${i}`;
  return id;
}

async function saveEvidence() {
  const form = at("evidence");
  const { name, source, author } = form.elements;
  store.author = author.value.trim();
  remember("author", store.author);
  const region = {
    ...(editing ?? { id: freeId(name.value), colour: store.colour }),
    name: name.value.trim(),
    evidence: { source: source.value.trim(), certainty, author: store.author },
  };
  const hint = store.selected && hintById(store.selected);
  const note = await putRegion(region);
  if (!note) return;
  form.hidden = true;
  // A new region made while a bare hint is chosen takes that hint in.
  if (!editing && hint && hint.colour && !hint.region) {
    await updateHint(hint.id, { region: region.id, colour: null });
  }
  store.region = region.id;
  emit("colour");
}

// ---------------------------------------------------------------- hints

// A coloured still of the frame on screen, from this computer.
async function addStill(field) {
  const [file] = field.files;
  field.value = "";
  if (!file) return;
  const note = await addReference(base64(await file.arrayBuffer()));
  if (note?.id) select(note.id);
}

function drawHints() {
  for (const button of at("which").children) button.classList.toggle("on", button.dataset.value === store.which);
  const shot = shotAt(store.frame);
  const hints = (store.project?.hints ?? [])
    .filter((h) => store.which === "all" || (shot && h.frame >= shot.start && h.frame < shot.stop))
    .sort((a, b) => a.frame - b.frame || String(a.id).localeCompare(String(b.id), "en", { numeric: true }));
  const list = at("hints");
  if (!hints.length) {
    list.innerHTML = `<p class="muted small">${
      store.project ? "None yet. Choose a colour, then click on the picture." : ""
    }</p>`;
    return;
  }
  list.replaceChildren(...hints.map(row));
}

function row(hint) {
  const line = document.createElement("div");
  line.className = `hint${hint.id === store.selected ? " on" : ""}${hint.frame === store.frame ? " here" : ""}`;
  line.dataset.id = hint.id;
  line.setAttribute("role", "option");
  line.tabIndex = 0;
  const colour = colourOf(hint);
  const region = regionById(hint.region);
  const off = store.checked?.get(hint.id);
  line.innerHTML =
    `<span class="swatch"></span>${icon(hint.kind)}<span class="name"></span>` +
    `<span class="delta"></span><span class="number"></span>` +
    `<button class="flat icon" title="Delete" aria-label="Delete hint ${hint.id}">${icon("remove")}</button>`;
  const swatch = line.querySelector(".swatch");
  if (colour) swatch.style.background = colour;
  else swatch.classList.add(hint.kind === "neutral" ? "grey" : "none");
  const outdated = store.project.outdated_locks?.includes(hint.id);
  line.querySelector(".name").textContent = outdated ? "lock, outdated" : region ? region.name : colour || hint.kind;
  line.querySelector(".number").textContent = hint.frame;
  if (off !== undefined) line.querySelector(".delta").textContent = `ΔE ${off.toFixed(1)}`;
  line.title = `${hint.kind} ${hint.id} on frame ${hint.frame}`;
  if (outdated) line.title += ": the recipe or the cuts changed since; what it shows is not what was approved";
  const open = () => {
    goto(hint.frame);
    select(hint.id);
  };
  line.onclick = open;
  line.onkeydown = (event) => {
    if (event.key === "Enter") open();
  };
  line.querySelector("button").onclick = (event) => {
    event.stopPropagation();
    deleteHint(hint.id);
  };
  return line;
}
