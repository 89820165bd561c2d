// The same region in other shots: asked for, looked at, confirmed or rejected.

import { change, getJson } from "./api.js";
import { edit } from "./edits.js";
import { icon } from "./icons.js";
import { follow, goto, on, regionById, set, store } from "./store.js";
import { tell } from "./toast.js";

const ASK_MS = 400;

let at;
let told = null;
let timer = 0;

export function mountProposals(find) {
  at = find;
  at("find-region").onclick = () => tell(start);
  on("open", () => {
    told = null;
    show(null);
  });
  follow(["project", "colour", "selection"], draw);
}

async function start() {
  told = await change("POST", "/proposals", { region: store.region });
  show(null);
  draw();
  soon();
}

function soon() {
  clearTimeout(timer);
  if (told?.state === "running") timer = setTimeout(ask, ASK_MS);
}

async function ask() {
  // A server that is away for a moment is asked again.
  told = await getJson("/proposals").catch(() => told);
  draw();
  soon();
}

const show = (row) => set({ proposal: row }, "proposal");

async function confirm(row) {
  goto(row.frame);
  const note = await edit("POST", `/proposals/${row.id}/confirm`, {});
  if (note) drop(row);
}

async function reject(row) {
  told = await change("POST", `/proposals/${row.id}/reject`);
  drop(row);
}

function drop(row) {
  told.rows = told.rows.filter((other) => other.id !== row.id);
  if (store.proposal?.id === row.id) show(null);
  draw();
}

function draw() {
  const region = store.region && regionById(store.region);
  const shown = region && store.project.hints.some((h) => h.region === region.id && h.kind === "region");
  at("proposals").hidden = !shown || store.project.shots.length < 2;
  const mine = told && region && told.region === region.id;
  at("found").textContent = !mine ? "" : words();
  at("found-list").replaceChildren(...(mine ? told.rows.map(place) : []));
}

function words() {
  if (told.state === "running") return `${told.done} of ${told.total} shots`;
  if (told.state === "failed") return told.fault;
  return told.rows.length ? "" : "in no other shot, as far as can be told";
}

function place(row) {
  const line = document.createElement("div");
  line.className = `place${store.proposal?.id === row.id ? " on" : ""}`;
  line.dataset.id = row.id;
  line.tabIndex = 0;
  line.setAttribute("role", "option");
  line.innerHTML =
    `<span class="name">Shot ${row.shot + 1}, frame ${row.frame}</span>` +
    `<span class="muted" title="How likely it is the same">${Math.round(row.score * 100)} %</span>` +
    `<button class="flat icon yes" title="It is: mark it" aria-label="Confirm">${icon("accept")}</button>` +
    `<button class="flat icon no" title="It is not" aria-label="Reject">${icon("remove")}</button>`;
  const look = () => {
    goto(row.frame);
    show(row);
    draw();
  };
  line.onclick = look;
  line.onkeydown = (event) => {
    if (event.target === line && event.key === "Enter") look();
  };
  const answer = (name, act) => {
    line.querySelector(name).onclick = (event) => {
      event.stopPropagation();
      tell(() => act(row));
    };
  };
  answer(".yes", confirm);
  answer(".no", reject);
  return line;
}
