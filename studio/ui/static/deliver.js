// Deliver: the film into a file, hints in and out, colours asked against colours shown.

import { change } from "./api.js";
import { alter } from "./edits.js";
import { complete } from "./paths.js";
import { emit, follow, goto, hintById, on, select, store, colourOf, regionById } from "./store.js";
import { tell, toast } from "./toast.js";

const ENDINGS = { mp4: ".mp4", mkv: ".mkv", mov: ".mov", png: "" };
let format = "mp4";
let touched = false;

export function mount(element) {
  const at = (id) => element.querySelector(`#${id}`);
  const out = at("out");
  const suggest = () => {
    if (!store.project || touched) return;
    const stem = store.project.name.replace(/\.pochoir$/, "");
    out.value = format === "png" ? `deliver/${stem}_frames` : `deliver/${stem}${ENDINGS[format]}`;
  };
  const choose = (value) => {
    format = value;
    for (const button of at("format").children) button.classList.toggle("on", button.dataset.value === value);
    if (touched && out.value) out.value = out.value.replace(/\.(mp4|mkv|mov)$/, "") + ENDINGS[format];
    suggest();
  };
  for (const button of at("format").children) button.onclick = () => choose(button.dataset.value);
  out.oninput = () => {
    touched = out.value.trim() !== "";
    const ending = out.value.match(/\.(mp4|mkv|mov)$/)?.[1];
    if (ending && ending !== format) choose(ending);
  };
  at("deliver").onclick = () => emit("deliver", out.value.trim());
  const path = at("hints-path");
  complete(path);
  at("import").onclick = () =>
    alter("POST", "/hints/import", { path: path.value }).then((done) => done && toast("hints imported", "note"));
  at("export").onclick = () =>
    tell(async () => {
      const told = await change("POST", "/hints/export", { path: path.value });
      toast(`hints written to ${told.path}`, "note");
    });
  at("check").onclick = () => check(at);
  on("open", () => {
    touched = false;
    store.checked = null;
    choose(format);
  });
  choose(format);
  follow(["project"], suggest);
  element.dataset.ready = "1";
}

async function check(at) {
  const button = at("check");
  button.disabled = true;
  button.textContent = "Measuring…";
  const told = await tell(() => change("POST", "/check", {}));
  button.disabled = false;
  button.textContent = "Check";
  if (!told) return;
  store.checked = new Map(told.hints.filter((h) => h.delta_e != null).map((h) => [h.id, h.delta_e]));
  emit("checked");
  draw(at("checked"), told);
}

const grade = (value, limit) => (value == null ? "" : value <= limit ? "good" : "bad");

const number = (value) => (value == null ? "–" : value.toFixed(2));

function draw(place, told) {
  if (!told.hints.length) {
    place.innerHTML = `<p class="muted small">There are no hints to check.</p>`;
    return;
  }
  place.innerHTML =
    `<p class="sum">median <b class="${grade(told.median, 1)}">${number(told.median)}</b>` +
    ` max <b class="${grade(told.max, 3)}">${number(told.max)}</b></p>` +
    `<table><thead><tr><th></th><th>Hint</th><th>Frame</th><th>ΔE2000</th></tr></thead><tbody></tbody></table>`;
  place.querySelector("tbody").replaceChildren(
    ...told.hints.map((line) => {
      const hint = hintById(line.id);
      const row = document.createElement("tr");
      row.innerHTML = `<td><span class="swatch"></span></td><td></td><td></td><td class="${grade(line.delta_e, 3)}"></td>`;
      const cells = row.children;
      if (hint && colourOf(hint)) cells[0].firstChild.style.background = colourOf(hint);
      cells[1].textContent = regionById(hint?.region)?.name ?? line.id;
      cells[2].textContent = line.frame;
      cells[3].textContent = number(line.delta_e);
      row.onclick = () => {
        goto(line.frame);
        select(line.id);
      };
      return row;
    }),
  );
}
