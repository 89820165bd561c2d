// The top bar, and the sheet of keys.

import { redo, undo } from "./edits.js";
import { KEYS, listen } from "./keys.js";
import { emit, follow, on, store } from "./store.js";

export function mount(element) {
  const at = (id) => element.querySelector(`#${id}`);
  at("undo").onclick = undo;
  at("redo").onclick = redo;
  at("projects").onclick = () => emit("picker");
  at("help").onclick = () => sheet(at("keys-sheet"));
  on("keys-sheet", () => sheet(at("keys-sheet")));
  listen();
  follow(["project", "saving", "online"], () => draw(at));
  element.dataset.ready = "1";
}

function draw(at) {
  const project = store.project;
  at("projects").textContent = project ? project.name : "Projects";
  document.title = project ? `${project.name} – Pochoir` : "Pochoir";
  at("facts").textContent = project ? facts(project.clip) : "";
  for (const [id, verb, sign] of [
    ["undo", "Undo", "↶"],
    ["redo", "Redo", "↷"],
  ]) {
    const label = project?.[`${id}_label`];
    at(id).disabled = !project?.[`can_${id}`];
    at(id).textContent = label ? `${sign} ${verb} ${label}` : `${sign} ${verb}`;
  }
  const saved = at("saved");
  saved.textContent = !store.online ? "server away" : store.saving ? "saving…" : project ? "saved" : "";
  saved.classList.toggle("bad", !store.online);
}

function facts(clip) {
  const [above, below] = String(clip.rate).split("/").map(Number);
  const fps = Math.round((above / (below || 1)) * 1000) / 1000;
  return `${clip.width}×${clip.height} · ${fps} fps · ${clip.count} frames`;
}

function sheet(dialog) {
  if (dialog.open) {
    dialog.close();
    return;
  }
  const groups = Map.groupBy(KEYS.filter((k) => k[1]), (k) => k[0]);
  dialog.innerHTML = [...groups]
    .map(
      ([group, keys]) =>
        `<section><h3>${group}</h3>${keys
          .map((k) => `<div><span>${k[1].split(" ").map((c) => `<kbd>${c}</kbd>`).join(" ")}</span>${k[2]}</div>`)
          .join("")}</section>`,
    )
    .join("");
  dialog.onclick = () => dialog.close();
  dialog.showModal();
}
