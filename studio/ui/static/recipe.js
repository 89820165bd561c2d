// The recipe panel: a card for every stage, drawn from what it declares. A change is written at once.

import { getJson } from "./api.js";
import { alter } from "./edits.js";
import { icon } from "./icons.js";
import { follow, store } from "./store.js";

let cards = [];
let recipes = [];
const open = new Set();

export async function mount(element) {
  const stages = element.querySelector("#stages");
  const name = element.querySelector("#recipe-name");
  const told = await getJson("/stages").catch(() => ({ stages: [], recipes: [] }));
  cards = told.stages;
  recipes = told.recipes;
  name.onchange = () => {
    name.blur();
    if (recipes.includes(name.value)) alter("PUT", "/recipe", { recipe: name.value });
  };
  let drawn = "";
  follow(["project"], () => {
    if (!store.project) return;
    const now = JSON.stringify(store.project.recipe);
    // What a person is just typing into is not drawn anew under their hands.
    if (now === drawn || stages.contains(document.activeElement?.closest("input[type=text]"))) return;
    drawn = now;
    draw(stages, name);
  });
  element.dataset.ready = "1";
}

const steps = () => store.project.recipe.steps;

function send(changed) {
  return alter("PUT", "/recipe", { recipe: { name: "custom", steps: changed } });
}

// The steps with one more where it usually stands: in front of the first that is registered after it.
function withStage(stage, params) {
  const rank = (name) => cards.findIndex((c) => c.name === name);
  const at = steps().findIndex((s) => rank(s.stage) > rank(stage));
  const added = [...steps()];
  added.splice(at < 0 ? added.length : at, 0, { stage, on: true, params });
  return added;
}

function draw(stages, name) {
  const recipe = store.project.recipe;
  const options = recipes.includes(recipe.name) ? recipes : [...recipes, recipe.name];
  name.replaceChildren(...options.map((n) => new Option(n, n, false, n === recipe.name)));
  const byName = new Map(cards.map((c) => [c.name, c]));
  const rows = recipe.steps.map((step, i) => card(step, i, byName.get(step.stage)));
  const missing = cards.filter((c) => !recipe.steps.some((s) => s.stage === c.name));
  rows.push(...missing.map((c) => card({ stage: c.name, on: false, params: {} }, -1, c)));
  stages.replaceChildren(...rows);
}

function card(step, i, told) {
  const box = document.createElement("section");
  box.className = `stage-card${step.on ? "" : " off"}`;
  box.dataset.stage = step.stage;
  const head = document.createElement("div");
  head.className = "stage-head";
  head.innerHTML =
    `<label class="switch"><input type="checkbox" aria-label="${step.stage} on"><i></i></label>` +
    `<button class="flat name"></button>` +
    `<button class="flat icon up" title="Earlier" aria-label="Earlier">${icon("up")}</button>` +
    `<button class="flat icon down" title="Later" aria-label="Later">${icon("down")}</button>`;
  const on = head.querySelector("input");
  on.checked = step.on;
  on.onchange = () => {
    const changed = steps().map((s) => (s.stage === step.stage ? { ...s, on: on.checked } : s));
    send(i < 0 ? withStage(step.stage, {}) : changed);
  };
  const title = head.querySelector(".name");
  title.textContent = step.stage;
  title.title = told?.help ?? "";
  for (const [sign, by] of [["up", -1], ["down", 1]]) {
    const button = head.querySelector(`.${sign}`);
    button.disabled = i < 0 || i + by < 0 || i + by >= steps().length;
    button.onclick = () => {
      const order = [...steps()];
      order.splice(i + by, 0, ...order.splice(i, 1));
      send(order);
    };
  }
  const body = document.createElement("div");
  body.className = "stage-body";
  body.hidden = !open.has(step.stage);
  title.onclick = () => {
    body.hidden = !body.hidden;
    if (body.hidden) open.delete(step.stage);
    else open.add(step.stage);
  };
  if (told?.help) {
    const help = document.createElement("p");
    help.className = "muted small";
    help.textContent = told.help;
    body.append(help);
  }
  for (const declared of told?.controls ?? []) body.append(control(declared, step, i));
  box.append(head, body);
  return box;
}

function control(declared, step, i) {
  const value = step.params[declared.name] ?? declared.default;
  const write = (next) => {
    const params = { ...step.params, [declared.name]: next };
    if (i < 0) send(withStage(step.stage, params));
    else send(steps().map((s) => (s.stage === step.stage ? { ...s, params } : s)));
  };
  const row = document.createElement("label");
  row.className = `control ${declared.kind}`;
  row.title = declared.help;
  const name = document.createElement("span");
  name.textContent = declared.label;
  if (declared.unit) name.append(Object.assign(document.createElement("i"), { textContent: declared.unit }));
  row.append(name, input(declared, value, write));
  return row;
}

function input(declared, value, write) {
  if (declared.kind === "switch") {
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: value });
    box.onchange = () => write(box.checked);
    return box;
  }
  if (declared.kind === "choice") {
    const list = document.createElement("select");
    // What the recipe names may be of a package that is not installed here.
    const options = [...new Set([...declared.options, value])];
    list.replaceChildren(...options.map((o) => new Option(o, o, false, o === value)));
    list.onchange = () => write(list.value);
    return list;
  }
  if (declared.kind === "text") {
    const field = Object.assign(document.createElement("input"), { type: "text", value, spellcheck: false });
    field.onchange = () => write(field.value);
    return field;
  }
  const group = document.createElement("span");
  group.className = "slider";
  const range = Object.assign(document.createElement("input"), {
    type: "range", min: declared.low, max: declared.high, step: declared.step, value,
  });
  const field = Object.assign(document.createElement("input"), { type: "text", value, inputMode: "decimal" });
  range.oninput = () => {
    field.value = range.value;
  };
  range.onchange = () => write(Number(range.value));
  field.onchange = () => {
    const typed = Number(field.value.replace(",", "."));
    const fits = field.value.trim() !== "" && typed >= declared.low && typed <= declared.high;
    field.classList.toggle("wrong", !fits);
    if (fits) write(typed);
  };
  group.append(range, field);
  return group;
}
