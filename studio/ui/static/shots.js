// Time: transport, timeline, strip of shots.

import { url } from "./api.js";
import { address } from "./frames.js";
import { icon } from "./icons.js";
import { play, playing, stop, toggle, toggleCut, toKeyframe } from "./keys.js";
import { toggleNeed, toNeed, watch } from "./need.js";
import { count, follow, goto, on, rate, set, shotAt, store } from "./store.js";
import { Timeline } from "./timeline.js";

export function mount(element) {
  const at = (id) => element.querySelector(`#${id}`);
  const timeline = new Timeline(at("timeline"));
  const does = {
    first: ["first", () => goto(0)],
    "key-before": ["keyBefore", () => toKeyframe(-1)],
    back: ["back", () => goto(store.frame - 1)],
    play: ["play", toggle],
    forward: ["forward", () => goto(store.frame + 1)],
    "key-after": ["keyAfter", () => toKeyframe(1)],
    last: ["last", () => goto(count() - 1)],
    "need-next": ["need", () => toNeed(1)],
    loop: ["loop", () => set({ loop: !store.loop }, "view")],
  };
  for (const [id, [sign, act]] of Object.entries(does)) {
    at(id).innerHTML = icon(sign);
    at(id).onclick = () => {
      act();
      at(id).blur();
    };
  }
  at("cut").onclick = toggleCut;
  at("need").onclick = toggleNeed;
  const span = () => {
    timeline.show(timeline.span === "film" ? "shot" : "film");
    saySpan();
  };
  at("timeline").addEventListener("wheel", () => setTimeout(saySpan));
  at("timeline").addEventListener("dblclick", () => setTimeout(saySpan));
  at("span").onclick = span;
  on("timeline-span", span);
  const field = at("frame");
  field.onfocus = () => field.select();
  field.onkeydown = (event) => {
    if (event.key === "Enter") {
      jump(field.value);
      field.blur();
    } else if (event.key === "Escape") field.blur();
  };
  field.onblur = () => drawFrame(at);
  on("frame", () => drawFrame(at));
  const saySpan = () => {
    at("span").textContent = timeline.span === "film" ? "Zoom to shot" : "Whole film";
  };
  const switches = () => {
    at("loop").classList.toggle("on", store.loop);
    at("need").classList.toggle("on", store.need);
  };
  on("view", switches);
  switches();
  on("play", () => {
    at("play").innerHTML = icon(playing() ? "pause" : "play");
    at("play").classList.toggle("on", playing());
  });
  on("open", () => {
    if (playing()) stop();
  });
  follow(["project"], () => {
    saySpan();
    drawStrip(at("strip"));
    drawFrame(at);
    timeline.span === "free" ? timeline.draw() : timeline.show(timeline.span);
  });
  watch();
  element.dataset.ready = "1";
  return { play };
}

// A frame number, or a step from here with + or −.
function jump(text) {
  const words = text.trim();
  if (/^[+-]\d+$/.test(words)) goto(store.frame + Number(words));
  else if (/^\d+$/.test(words)) goto(Number(words));
}

function drawFrame(at) {
  const field = at("frame");
  if (document.activeElement !== field) field.value = store.project ? store.frame : "";
  at("of").textContent = store.project ? `/ ${count() - 1}` : "";
  at("timecode").textContent = store.project ? timecode(store.frame) : "";
  const shot = shotAt(store.frame);
  at("shot-facts").textContent = shot
    ? `Shot ${shot.id + 1} · frame ${store.frame - shot.start + 1} of ${shot.stop - shot.start}`
    : "";
  const cut = at("cut");
  cut.disabled = !store.project || store.frame === 0;
  cut.textContent = shot && store.frame > 0 && shot.start === store.frame ? "Join shots" : "Cut here";
  const strip = at("strip");
  for (const card of strip.children) {
    const here = shot && Number(card.dataset.shot) === shot.id;
    if (here && !card.classList.contains("on")) {
      const over = card.offsetLeft + card.offsetWidth - strip.scrollLeft - strip.clientWidth;
      if (over > 0 || card.offsetLeft < strip.scrollLeft) strip.scrollLeft = card.offsetLeft - 60;
    }
    card.classList.toggle("on", Boolean(here));
  }
}

function timecode(n) {
  const fps = Math.max(1, Math.round(rate()));
  const two = (v) => String(v).padStart(2, "0");
  const seconds = Math.floor(n / fps);
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}:${two(n % fps)}`;
}

const WORDS = {
  rendered: () => "rendered",
  stale: (shot) => `${shot.due} to renew`,
  new: (shot) => `${shot.due} to do`,
};

function drawStrip(strip) {
  const shots = store.project?.shots ?? [];
  const known = new Map([...strip.children].map((card) => [card.dataset.key, card]));
  const cards = shots.map((shot) => {
    const middle = Math.floor((shot.start + shot.stop) / 2);
    const key = `${shot.id} ${shot.start} ${shot.stop}`;
    const card = known.get(key) ?? document.createElement("button");
    const name = shot.state;
    const words = WORDS[name](shot);
    card.className = `shot ${name}${card.classList.contains("on") ? " on" : ""}`;
    card.dataset.key = key;
    card.dataset.shot = shot.id;
    card.dataset.state = name;
    card.setAttribute("role", "option");
    card.title = `Shot ${shot.id + 1}: frames ${shot.start} to ${shot.stop - 1}, ${words}`;
    if (!card.firstChild) {
      card.innerHTML = `<img alt="" loading="lazy" draggable="false"><span><b></b><i></i></span>`;
      card.onclick = () => {
        goto(shot.start);
        card.blur();
      };
    }
    // A shot's picture is taken anew once it is rendered, not after every edit.
    const image = card.querySelector("img");
    if (!image.src || (name === "rendered" && image.dataset.key !== shot.key)) {
      image.src = url(address(name === "rendered" ? "coloured" : "source", middle, 96));
      image.dataset.key = shot.key;
    }
    card.querySelector("b").textContent = shot.id + 1;
    card.querySelector("i").textContent = words;
    return card;
  });
  strip.replaceChildren(...cards);
}
