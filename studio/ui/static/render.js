// Rendering: what is due, the jobs under way with time left and a way to stop.

import { change } from "./api.js";
import { emit, follow, on, refresh, shotAt, store } from "./store.js";
import { tell } from "./toast.js";

const LIVE = new Set(["queued", "running"]);

export function mount(element) {
  const at = (id) => element.querySelector(`#${id}`);
  const shot = () => start({ shot: shotAt(store.frame)?.id, purpose: "shot" });
  at("render-shot").onclick = shot;
  at("render-film").onclick = () => start({ shot: null, purpose: "shot" });
  on("render-shot", shot);
  on("deliver", (out) => start({ purpose: "deliver", out }));
  follow(["project", "frame", "jobs"], () => {
    drawDue(at);
    drawJobs(at("jobs"));
  });
  element.dataset.ready = "1";
}

async function start(wish) {
  if (!store.project) return;
  await tell(async () => {
    await change("POST", "/jobs", wish);
    await refresh();
  });
}

function drawDue(at) {
  const shot = shotAt(store.frame);
  at("render-shot").disabled = at("render-film").disabled = !shot;
  if (!shot) {
    at("due").textContent = "";
    return;
  }
  const due = shot.due;
  at("due").textContent = due
    ? `Shot ${shot.id + 1}: ${due} of ${shot.frames} due`
    : `Shot ${shot.id + 1} is up to date`;
  at("due").classList.toggle("muted", !due);
  at("render-shot").classList.toggle("plain", due > 0);
  at("render-shot").classList.toggle("flat", due === 0);
}

const WORDS = { done: "done", cancelled: "stopped", failed: "failed", interrupted: "interrupted", queued: "waiting" };

function seconds(left) {
  if (left == null) return "";
  if (left < 60) return `${Math.ceil(left)} s left`;
  return `${Math.floor(left / 60)} min ${String(Math.round(left % 60)).padStart(2, "0")} s left`;
}

const title = (job) =>
  job.purpose === "deliver" ? `Deliver ${file(job.out)}` : job.shot == null ? "Render film" : `Render shot ${job.shot + 1}`;

const file = (path) => String(path ?? "").split("/").filter(Boolean).pop() ?? "";

function drawJobs(place) {
  const live = store.jobs.filter((j) => LIVE.has(j.state));
  const last = store.jobs.find((j) => !LIVE.has(j.state));
  const shown = live.length ? live : last ? [last] : [];
  const known = new Map([...place.children].map((row) => [row.dataset.id, row]));
  place.replaceChildren(...shown.map((job) => drawJob(known.get(job.id) ?? makeRow(job), job)));
}

function makeRow(job) {
  const row = document.createElement("div");
  row.className = "job";
  row.dataset.id = job.id;
  row.innerHTML =
    `<div class="row"><b class="grow"></b><button class="flat small resume">Resume</button>` +
    `<button class="flat small cancel">Cancel</button></div>` +
    `<span class="state muted"></span><div class="bar"><i></i></div>`;
  row.querySelector(".cancel").onclick = () =>
    tell(() => change("POST", `/jobs/${job.id}/cancel`)).then(() => emit("jobs"));
  row.querySelector(".resume").onclick = () =>
    tell(() => change("POST", `/jobs/${job.id}/resume`)).then(() => refresh());
  return row;
}

function drawJob(row, job) {
  const live = LIVE.has(job.state);
  row.dataset.state = job.state;
  row.querySelector("b").textContent = title(job);
  const part = job.total ? job.done / job.total : 0;
  const progress = [job.stage, job.total ? `${job.done} / ${job.total}` : "", seconds(job.seconds_left)];
  const took = job.result?.seconds != null ? ` in ${job.result.seconds.toFixed(1)} s` : "";
  const less = Object.values(job.result?.fell_short ?? {}).reduce((all, frames) => all + frames, 0);
  const short = less ? `, ${less} frames with less memory than they need` : "";
  row.querySelector(".state").textContent =
    job.state === "running"
      ? progress.filter(Boolean).join(" · ")
      : job.state === "failed"
        ? job.error
        : `${WORDS[job.state]}${job.state === "done" ? took + short : ""}`;
  row.querySelector(".state").title =
    job.error || Object.keys(job.result?.fell_short ?? {}).join("; ") || job.out || "";
  row.querySelector(".bar").hidden = !live;
  row.querySelector(".bar i").style.width = `${(part * 100).toFixed(1)}%`;
  row.querySelector(".cancel").hidden = !live;
  row.querySelector(".resume").hidden = !["cancelled", "interrupted", "failed"].includes(job.state);
  return row;
}
