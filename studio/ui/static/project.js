// The project picker: shown while no project is open, or when asked for.

import { change } from "./api.js";
import { complete } from "./paths.js";
import { follow, on, refresh, store } from "./store.js";

let asked = false;
let fault = "";

export function mount(element) {
  const at = (id) => element.querySelector(`#${id}`);
  for (const field of element.querySelectorAll("input[list=paths]")) complete(field);
  const send = async (path, body) => {
    fault = "";
    try {
      await change("POST", path, body);
    } catch (error) {
      fault = error.message;
    }
    await refresh().catch(() => {});
    // What was asked for lay open already; else the picker goes when the new project is there.
    if (!fault && !store.opening && !store.error) asked = false;
    draw(at);
  };
  at("create").onsubmit = (event) => {
    event.preventDefault();
    const { source, rate, folder, recipe } = event.target.elements;
    send("/project/create", {
      source: source.value, rate: rate.value, folder: folder.value, recipe: recipe.value,
    });
  };
  at("open").onsubmit = (event) => {
    event.preventDefault();
    send("/project/open", { path: event.target.elements.path.value });
  };
  at("picker-close").onclick = () => {
    asked = false;
    draw(at);
  };
  at("recents").onclick = (event) => {
    const row = event.target.closest("button");
    if (row) send("/project/open", { path: row.dataset.path });
  };
  on("picker", () => {
    asked = true;
    fault = "";
    draw(at);
  });
  on("open", () => {
    if (store.project) asked = false;
  });
  follow(["project", "jobs", "open"], () => draw(at));
  element.dataset.ready = "1";
}

function draw(at) {
  const opening = store.opening;
  at("picker").hidden = !store.loaded || (Boolean(store.project) && !asked && !opening);
  if (at("picker").hidden) return;
  at("picker-close").hidden = !store.project;
  at("picker-fault").textContent = opening ? "" : fault || store.error;
  const busy = at("opening");
  busy.hidden = !opening;
  if (opening) {
    const part = opening.total ? opening.done / opening.total : 0;
    busy.innerHTML = `<div class="row"><b></b><span class="grow muted"></span></div><div class="bar"><i></i></div>`;
    busy.querySelector("b").textContent = opening.name;
    busy.querySelector("span").textContent =
      opening.stage + (opening.total ? ` · ${opening.done} / ${opening.total}` : "");
    busy.querySelector("i").style.width = `${part * 100}%`;
  }
  for (const button of at("picker").querySelectorAll("form .plain")) button.disabled = Boolean(opening);
  const list = at("recents");
  const now = JSON.stringify(store.recent);
  if (list.dataset.shown === now) return;
  list.dataset.shown = now;
  list.replaceChildren(
    ...store.recent.map((project) => {
      const row = document.createElement("button");
      row.dataset.path = project.path;
      row.innerHTML = `<b></b><i><bdi></bdi></i>`;
      row.querySelector("b").textContent = project.name;
      row.querySelector("bdi").textContent = project.path;
      row.title = project.path;
      return row;
    }),
  );
  if (!store.recent.length) list.innerHTML = `<p class="muted small">No projects yet.</p>`;
}
