// The stage: shows the frame, compares before and after, hands clicks to the tools.

import { url } from "./api.js";
import { Camera } from "./camera.js";
import { keep, keyOf, load, prefetch, ready } from "./frames.js";
import { icon } from "./icons.js";
import { drawMarks } from "./marks.js";
import { edge, tinted } from "./masks.js";
import { needOf } from "./need.js";
import { count, emit, follow, hintById, on, set, shotAt, store } from "./store.js";
import { toast } from "./toast.js";
import { Tools } from "./tools.js";

// Hints are worked out at this size: smaller pictures would save nothing, and blur them.
const LEAST_SIDE = 640;
const EXACT_AFTER_MS = 300;
// After an edit the exact picture means carrying the hint along its shot: not while the next one is being placed.
const EXACT_AFTER_EDIT_MS = 1500;
// How long a step may leave the picture before on screen until the right frame is shown uncoloured.
const PATIENCE_MS = 220;

class Viewer {
  camera = new Camera();
  wipe = 0.5;
  after = null;
  before = null;
  beforeKind = "";
  shownFrame = -1;
  quality = "";
  lastMs = null;
  matte = null;
  heat = null;
  last = 0;

  constructor(element) {
    this.element = element;
    this.stage = element.querySelector("#stage");
    this.canvas = element.querySelector("#picture");
    this.overlay = element.querySelector("#overlay");
    this.tools = new Tools(this);
    this.buildBar();
    new ResizeObserver(() => this.resize()).observe(this.stage);
    this.resize();
    this.listen();
    window.pochoir = { viewer: this, store, needOf, timings: [] };
    follow(["project"], () => this.onProject());
    on("open", () => this.onOpen());
    on("frame", () => this.onFrame());
    on("edited", (edit) => this.onEdited(edit));
    on("settled", ({ frame, bitmap }) => this.onSettled(frame, bitmap));
    for (const topic of ["view", "tool", "selection", "colour"]) on(topic, () => this.refreshBar());
    on("selection", () => this.showOutline());
    on("need", () => this.onNeed());
    on("proposal", () => this.showProposal());
    this.refreshBar();
  }

  // ---------------------------------------------------------------- the bar

  buildBar() {
    for (const button of this.element.querySelectorAll(".tool")) {
      button.insertAdjacentHTML("afterbegin", icon(button.dataset.tool));
      button.onclick = () => this.tools.choose(button.dataset.tool);
    }
    for (const button of this.element.querySelectorAll("#view-mode button")) {
      button.onclick = () => set({ mode: button.dataset.mode }, "view");
    }
    const kind = this.element.querySelector("#before-kind");
    kind.onchange = () => {
      set({ before: kind.value }, "view");
      kind.blur();
      this.showBefore();
    };
    this.element.querySelector("#fit").onclick = () => this.fit();
    this.element.querySelector("#actual").onclick = () => this.actual();
    this.element.querySelector("#matte").onclick = () => this.toggleMatte();
    this.element.querySelector("#heat").onclick = () => this.toggleHeat();
    this.element.querySelector("#marks").onclick = () => set({ marks: !store.marks }, "view");
  }

  refreshBar() {
    for (const button of this.element.querySelectorAll("#view-mode button")) {
      button.classList.toggle("on", button.dataset.mode === store.mode);
    }
    for (const button of this.element.querySelectorAll(".tool")) {
      const chosen = button.dataset.tool === store.tool;
      button.classList.toggle("on", chosen);
      button.setAttribute("aria-pressed", chosen);
    }
    this.element.querySelector("#matte").classList.toggle("on", store.matte);
    this.element.querySelector("#heat").classList.toggle("on", store.heat);
    this.element.querySelector("#marks").classList.toggle("on", store.marks);
    this.element.querySelector("#zoom").textContent = `${Math.round(this.camera.scale * this.ratio * 100)} %`;
    this.stage.dataset.tool = store.tool;
    if (store.mode !== "after" || store.peek) this.showBefore();
    this.draw();
  }

  say() {
    const place = this.element.querySelector("#shown");
    const words = {
      preview: `preview${this.lastMs ? ` · ${Math.round(this.lastMs)} ms` : ""}`,
      proxy: shotAt(this.shownFrame)?.state === "rendered" ? "" : "preview",
      exact: "exact",
      uncoloured: "not coloured yet",
    };
    place.textContent = words[this.quality] ?? "";
    place.dataset.quality = this.quality;
  }

  // ---------------------------------------------------------------- which picture

  onOpen() {
    this.after = this.before = this.matte = this.heat = null;
    this.shownFrame = -1;
    this.tools.cancel();
    this.wanted = "";
    if (store.project) {
      requestAnimationFrame(() => this.fit());
    }
    this.draw();
  }

  onProject() {
    if (!store.project) return;
    const key = `${store.frame} ${keyOf("coloured", store.frame)}`;
    if (key !== this.wanted && !store.saving) this.onFrame({ quiet: this.shownFrame === store.frame });
    else this.draw();
  }

  async onFrame({ quiet = false } = {}) {
    if (!store.project) return;
    const n = store.frame;
    const direction = n < this.last ? -1 : 1;
    this.last = n;
    this.wanted = `${n} ${keyOf("coloured", n)}`;
    const mine = this.wanted;
    clearTimeout(this.exactTimer);
    if (!quiet) {
      this.lastMs = null;
      this.tools.leaveFrame();
    }
    this.matte = null;
    if (store.matte) this.loadMatte(n);
    if (this.heat?.frame !== n) this.heat = null;
    this.onNeed();
    const have = ready("coloured", n);
    if (have) {
      this.show(n, have, "proxy");
    } else {
      const waited = setTimeout(() => this.showUncoloured(n, mine), PATIENCE_MS);
      try {
        const bitmap = await load("coloured", n);
        if (mine === this.wanted) this.show(n, bitmap, "proxy");
      } catch (error) {
        if (mine === this.wanted) {
          this.showUncoloured(n, mine);
          toast(error.message);
        }
      }
      clearTimeout(waited);
    }
    if (mine !== this.wanted) return;
    prefetch(store.mode === "after" ? ["coloured"] : ["coloured", store.before], n, direction, count());
    this.exactSoon(n, mine);
  }

  async showUncoloured(n, mine) {
    const bitmap = await load("source", n).catch(() => null);
    if (bitmap && mine === this.wanted && this.shownFrame !== n) this.show(n, bitmap, "uncoloured");
  }

  show(n, bitmap, quality, since = null) {
    this.after = bitmap;
    if (this.shownFrame !== n || this.beforeKind !== store.before) {
      this.before = store.mode === "after" ? null : ready(store.before, n);
      this.beforeKind = store.before;
    }
    this.shownFrame = n;
    this.quality = quality;
    if (store.mode !== "after" || store.peek) this.showBefore();
    this.draw(since);
    this.say();
  }

  async showBefore() {
    if (!store.project || this.shownFrame < 0) return;
    const n = this.shownFrame;
    const kind = store.before;
    if (this.before && this.beforeKind === kind) return;
    const bitmap = await load(kind, n).catch((error) => (toast(error.message), null));
    if (bitmap && n === this.shownFrame && kind === store.before) {
      this.before = bitmap;
      this.beforeKind = kind;
      this.draw();
    }
  }

  onEdited({ frame, bitmap, since, note }) {
    if (frame !== store.frame) return;
    clearTimeout(this.exactTimer);
    this.wanted = "";
    this.serverMs = note.ms;
    this.show(frame, bitmap, "preview", since);
  }

  onSettled(frame, bitmap) {
    const whole = !this.picture || bitmap.width >= this.picture.width;
    if (whole) keep("coloured", frame, bitmap);
    if (frame !== store.frame) return;
    this.wanted = `${frame} ${keyOf("coloured", frame)}`;
    if (whole || shotAt(frame)?.state !== "new") this.exactSoon(frame, this.wanted);
    else this.wholeSoon(frame, this.wanted);
  }

  // An edit is answered with no more pixels than the screen had; all of them follow when nothing else is being done.
  wholeSoon(n, mine) {
    clearTimeout(this.exactTimer);
    this.exactTimer = setTimeout(async () => {
      const bitmap = await load("coloured", n).catch(() => null);
      if (bitmap && mine === this.wanted && this.shownFrame === n) this.show(n, bitmap, "preview");
    }, EXACT_AFTER_EDIT_MS);
  }

  // When nothing happens for a while the server's own picture, lossless, replaces the JPEG. A shot that was
  // never rendered is left alone: there it would mean carrying every hint while the next one is being placed.
  exactSoon(n, mine) {
    clearTimeout(this.exactTimer);
    const state = shotAt(n)?.state;
    if (state === "new") return;
    const pause = state === "rendered" ? EXACT_AFTER_MS : EXACT_AFTER_EDIT_MS;
    this.exactTimer = setTimeout(async () => {
      try {
        if (this.playing || !store.project) return;
        const response = await fetch(url(`/exact/coloured/${n}.png`));
        if (!response.ok) return;
        const bitmap = await createImageBitmap(await response.blob());
        if (mine === this.wanted && this.shownFrame === n) {
          this.after = bitmap;
          this.quality = "exact";
          keep("coloured", n, bitmap);
          this.draw();
          this.say();
        }
      } catch {
        // The preview stays; the next step asks again.
      }
    }, pause);
  }

  // The border of the chosen hint's mask.
  async showOutline() {
    const hint = store.selected && hintById(store.selected);
    this.outline = null;
    if (!hint || !("mask" in hint)) return;
    const response = await fetch(url(`/hints/${hint.id}/mask.png`));
    if (!response.ok) return;
    const bitmap = await createImageBitmap(await response.blob());
    if (store.selected !== hint.id) return;
    this.outline = { frame: hint.frame, edge: edge(bitmap) };
    this.draw();
  }

  async toggleMatte() {
    set({ matte: !store.matte }, "view");
    if (store.matte) await this.loadMatte(store.frame, true);
    else this.matte = null;
    this.draw();
  }

  async loadMatte(n, aloud = false) {
    const response = await fetch(url(`/matte/${n}.png`));
    if (!response.ok) {
      if (aloud) {
        toast((await response.json()).error, "note");
        set({ matte: false }, "view");
      }
      return;
    }
    const bitmap = await createImageBitmap(await response.blob());
    if (n !== store.frame || !store.matte) return;
    this.matte = tinted(bitmap, [255, 60, 60]);
    this.draw();
  }

  // The place where a region is proposed, tinted and with its border.
  async showProposal() {
    const row = store.proposal;
    this.proposed = null;
    this.draw();
    if (!row) return;
    const response = await fetch(url(`/proposals/${row.id}/mask.png`));
    if (!response.ok) return;
    const bitmap = await createImageBitmap(await response.blob());
    if (store.proposal !== row) return;
    this.proposed = { frame: row.frame, layers: [tinted(bitmap, [80, 200, 255], 0.4), edge(bitmap)] };
    this.draw();
  }

  toggleHeat() {
    set({ heat: !store.heat }, "view");
    if (store.heat && !store.need) toast("switch Need on to have it worked out", "note");
    this.heat = null;
    this.onNeed();
    this.draw();
  }

  // The heat map of the frame in view, once it is worked out, and again when it was worked out anew.
  async onNeed() {
    const n = store.frame;
    const row = needOf(n);
    if (!store.heat || !row || this.heat?.row === row) return;
    const response = await fetch(url(`/need/${n}.png`));
    if (response.status !== 200) return;
    const bitmap = await createImageBitmap(await response.blob());
    if (n !== store.frame || !store.heat) return;
    this.heat = { frame: n, row, picture: tinted(bitmap, [255, 40, 200], 0.7) };
    this.draw();
  }

  // ---------------------------------------------------------------- drawing

  get ratio() {
    return window.devicePixelRatio || 1;
  }

  get picture() {
    const clip = store.project?.clip;
    return clip ? { width: clip.width, height: clip.height } : null;
  }

  get area() {
    return { width: this.stage.clientWidth, height: this.stage.clientHeight };
  }

  resize() {
    const { width, height } = this.area;
    for (const canvas of [this.canvas, this.overlay]) {
      canvas.width = Math.round(width * this.ratio);
      canvas.height = Math.round(height * this.ratio);
    }
    if (this.picture && this.camera.fitted) this.camera.fit(this.picture, this.area);
    this.refreshBar();
  }

  fit() {
    if (!this.picture) return;
    this.camera.fit(this.picture, this.area);
    this.refreshBar();
  }

  actual() {
    if (!this.picture) return;
    this.camera.actual(this.picture, this.area, this.ratio);
    this.refreshBar();
  }

  draw(since = null) {
    if (since !== null) this.since = since;
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.paint();
      if (this.since == null) return;
      this.lastMs = performance.now() - this.since;
      window.pochoir.timings.push({ shown: this.lastMs, server: this.serverMs });
      this.since = null;
      this.say();
    });
  }

  paint() {
    const context = this.canvas.getContext("2d");
    const size = this.picture;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (size && this.after) {
      const { scale, x, y } = this.camera;
      const longest = Math.max(size.width, size.height);
      const seen = Math.max(Math.ceil(longest * scale * this.ratio), LEAST_SIDE);
      store.side = seen < longest ? seen : null;
      context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      context.imageSmoothingEnabled = scale * this.ratio < 2.5;
      context.imageSmoothingQuality = "high";
      const put = (bitmap) => context.drawImage(bitmap, x, y, size.width * scale, size.height * scale);
      const mode = store.peek ? "before" : store.mode;
      const before = this.before && this.beforeKind === store.before ? this.before : null;
      put(mode === "before" && before ? before : this.after);
      if (mode === "wipe" && before) {
        context.save();
        context.beginPath();
        context.rect(x, y, size.width * scale * this.wipe, size.height * scale);
        context.clip();
        put(before);
        context.restore();
      }
    }
    this.canvas.dataset.frame = this.shownFrame;
    this.canvas.dataset.quality = this.quality;
    this.paintOverlay();
  }

  paintOverlay() {
    const context = this.overlay.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.overlay.width, this.overlay.height);
    const size = this.picture;
    if (!size || !this.after) return;
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    const { scale, x, y } = this.camera;
    if (this.matte && store.matte) {
      context.drawImage(this.matte, x, y, size.width * scale, size.height * scale);
    }
    if (this.heat?.frame === this.shownFrame && store.heat && !store.peek) {
      context.drawImage(this.heat.picture, x, y, size.width * scale, size.height * scale);
    }
    if (store.pointed === this.shownFrame && !store.peek) this.paintPlace(context);
    if (this.outline && this.outline.frame === this.shownFrame && store.marks && !store.peek) {
      context.drawImage(this.outline.edge, x, y, size.width * scale, size.height * scale);
    }
    if (this.proposed?.frame === this.shownFrame && !store.peek) {
      const layers = this.proposed.layers;
      for (const layer of layers) context.drawImage(layer, x, y, size.width * scale, size.height * scale);
    }
    this.tools.paint(context);
    if (store.marks && !store.peek) drawMarks(context, this.camera, this.tools.moving);
    if (store.mode === "wipe" && !store.peek) this.paintDivider(context, size);
  }

  // A ring about the place that needs a hint most.
  paintPlace(context) {
    const place = needOf(this.shownFrame);
    if (!place) return;
    const at = this.camera.toScreen(place);
    for (const [width, colour] of [[4, "rgba(0,0,0,.55)"], [1.6, "#ff4fd0"]]) {
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.beginPath();
      context.arc(at.x, at.y, 22, 0, 7);
      context.stroke();
    }
  }

  paintDivider(context, size) {
    const at = this.dividerX();
    const top = Math.max(0, this.camera.y);
    const bottom = Math.min(this.area.height, this.camera.y + size.height * this.camera.scale);
    context.strokeStyle = "rgba(0,0,0,.55)";
    context.lineWidth = 3;
    line(context, at, top, at, bottom);
    context.strokeStyle = "#e6e6e6";
    context.lineWidth = 1;
    line(context, at, top, at, bottom);
    const y = bottom - 22;
    context.fillStyle = "#1c1c1c";
    context.beginPath();
    context.arc(at, y, 9, 0, 7);
    context.fill();
    context.stroke();
    context.beginPath();
    context.moveTo(at - 2.5, y - 3);
    context.lineTo(at - 5.5, y);
    context.lineTo(at - 2.5, y + 3);
    context.moveTo(at + 2.5, y - 3);
    context.lineTo(at + 5.5, y);
    context.lineTo(at + 2.5, y + 3);
    context.stroke();
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "top";
    label(context, store.before === "source" ? "before" : "repaired", at - 8, top + 8, "right");
    label(context, "after", at + 8, top + 8, "left");
  }

  dividerX() {
    return this.camera.x + this.picture.width * this.camera.scale * this.wipe;
  }

  // ---------------------------------------------------------------- hands

  listen() {
    const stage = this.stage;
    const at = (event) => {
      const box = stage.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    stage.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        if (!this.picture) return;
        this.camera.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), at(event));
        this.refreshBar();
      },
      { passive: false },
    );
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("pointerdown", (event) => {
      if (!this.after) return;
      stage.focus({ preventScroll: true });
      stage.setPointerCapture(event.pointerId);
      const here = at(event);
      if (event.button === 1 || this.spaceHeld) {
        this.drag = { kind: "pan", from: here };
        this.spaceUsed = true;
        event.preventDefault();
      } else if (event.button === 0 && this.nearDivider(here)) {
        this.drag = { kind: "wipe" };
      } else {
        this.drag = { kind: "tool" };
        this.tools.down(this.camera.toPicture(here), event);
      }
      this.cursor(here);
    });
    stage.addEventListener("pointermove", (event) => {
      const here = at(event);
      if (this.drag?.kind === "pan") {
        this.camera.pan(here.x - this.drag.from.x, here.y - this.drag.from.y);
        this.drag.from = here;
        this.draw();
      } else if (this.drag?.kind === "wipe") {
        const width = this.picture.width * this.camera.scale;
        this.wipe = Math.max(0, Math.min(1, (here.x - this.camera.x) / width));
        this.draw();
      } else if (this.picture) {
        this.tools.move(this.camera.toPicture(here), event);
      }
      this.cursor(here);
    });
    const up = (event) => {
      const drag = this.drag;
      this.drag = null;
      if (drag?.kind === "tool") this.tools.up(this.camera.toPicture(at(event)), event);
      this.cursor(at(event));
    };
    stage.addEventListener("pointerup", up);
    stage.addEventListener("pointercancel", () => {
      this.drag = null;
      this.tools.cancelStroke();
    });
    stage.addEventListener("pointerleave", () => {
      this.tools.leave();
    });
  }

  nearDivider(here) {
    if (store.mode !== "wipe" || store.peek || !this.picture) return false;
    const handle = Math.min(this.area.height, this.camera.y + this.picture.height * this.camera.scale) - 22;
    const reach = Math.abs(here.y - handle) < 12 ? 12 : 5;
    return Math.abs(here.x - this.dividerX()) < reach;
  }

  cursor(here) {
    const grabbing = this.drag?.kind === "pan";
    this.stage.style.cursor = grabbing
      ? "grabbing"
      : this.spaceHeld
        ? "grab"
        : this.drag?.kind === "wipe" || this.nearDivider(here)
          ? "ew-resize"
          : this.tools.cursor(this.picture && this.camera.toPicture(here));
  }

  // ---------------------------------------------------------------- reading

  // Colour of the picture shown at a place of the film's picture, as [r, g, b]; what the eyedropper reads.
  colourAt(x, y) {
    const source = store.mode === "before" && this.before ? this.before : this.after;
    if (!source) return null;
    const canvas = new OffscreenCanvas(1, 1);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const fx = source.width / this.picture.width;
    const fy = source.height / this.picture.height;
    context.drawImage(source, -Math.floor(x * fx), -Math.floor(y * fy));
    return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  }

  // Colour on the screen there, overlay left out.
  screenColourAt(x, y) {
    const at = this.camera.toScreen({ x, y });
    const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    context.drawImage(this.canvas, -Math.round(at.x * this.ratio), -Math.round(at.y * this.ratio));
    return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  }
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

function label(context, text, x, y, align) {
  context.textAlign = align;
  const width = context.measureText(text).width + 10;
  context.fillStyle = "rgba(20,20,20,.72)";
  context.fillRect(align === "right" ? x - width : x, y - 3, width, 17);
  context.fillStyle = "#d8d8d8";
  context.fillText(text, align === "right" ? x - 5 : x + 5, y);
}

export let viewer = null;

export function mount(element) {
  viewer = new Viewer(element);
  emit("viewer", viewer);
  element.dataset.ready = "1";
}
