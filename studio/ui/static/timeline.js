// The timeline: ruler, shots with the state of their rendering, need of hints, keyframes, playhead.

import { spansOf } from "./need.js";
import { colourOf, count, goto, on, rate, select, shotAt, store } from "./store.js";

const RULER = 17;
const SHOTS = 20;
const NEED = 14;
const KEYS = 21;
export const HEIGHT = RULER + SHOTS + NEED + KEYS + 4;
const STATE = { rendered: "#5f7f6a", stale: "#b08a45", new: "#4a4a4a" };

// From green, nothing to do, to red.
const heat = (share) => `hsl(${Math.round(110 * (1 - Math.min(1, share * 1.5)))}, 55%, 48%)`;

export class Timeline {
  from = 0;
  to = 1;
  span = "film";
  hover = null;

  constructor(canvas) {
    this.canvas = canvas;
    canvas.style.height = `${HEIGHT}px`;
    new ResizeObserver(() => this.draw()).observe(canvas);
    for (const topic of ["project", "selection", "colour", "jobs", "need"]) on(topic, () => this.draw());
    on("frame", () => this.follow());
    on("open", () => this.show("film"));
    this.listen();
  }

  show(span) {
    this.span = span;
    const shot = shotAt(store.frame);
    if (span === "shot" && shot) [this.from, this.to] = [shot.start, shot.stop];
    else [this.from, this.to] = [0, Math.max(1, count())];
    this.draw();
  }

  // Keep the playhead in view, and in shot span the shot it is in.
  follow() {
    const shot = shotAt(store.frame);
    if (this.span === "shot" && shot && (store.frame < this.from || store.frame >= this.to)) {
      [this.from, this.to] = [shot.start, shot.stop];
    } else if (store.frame < this.from || store.frame + 1 > this.to) {
      const width = this.to - this.from;
      this.from = Math.max(0, Math.min(count() - width, store.frame - width / 2));
      this.to = this.from + width;
    }
    this.draw();
  }

  get width() {
    return this.canvas.clientWidth;
  }

  x(n) {
    return ((n - this.from) / (this.to - this.from)) * this.width;
  }

  frameAt(x) {
    const n = Math.floor(this.from + (x / this.width) * (this.to - this.from));
    return Math.max(0, Math.min(count() - 1, n));
  }

  listen() {
    const canvas = this.canvas;
    let scrubbing = false;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const hit = this.keyAt(event.offsetX, event.offsetY);
      if (hit) {
        goto(hit.frame);
        select(hit.id);
        return;
      }
      scrubbing = true;
      canvas.setPointerCapture(event.pointerId);
      goto(this.frameAt(event.offsetX));
    });
    canvas.addEventListener("pointermove", (event) => {
      this.hover = event.offsetX;
      if (scrubbing) goto(this.frameAt(event.offsetX));
      this.draw();
    });
    canvas.addEventListener("pointerup", () => {
      scrubbing = false;
    });
    canvas.addEventListener("pointerleave", () => {
      this.hover = null;
      this.draw();
    });
    canvas.addEventListener("dblclick", () => this.show("film"));
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        if (!count()) return;
        const width = this.to - this.from;
        if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
          this.slide(((event.deltaX || event.deltaY) / this.width) * width);
        } else {
          const centre = this.from + (event.offsetX / this.width) * width;
          const factor = Math.exp(event.deltaY * 0.0016);
          const wide = Math.max(Math.min(8, count()), Math.min(count(), width * factor));
          this.from = centre - ((centre - this.from) / width) * wide;
          this.to = this.from + wide;
          this.span = "free";
          this.slide(0);
        }
      },
      { passive: false },
    );
  }

  slide(by) {
    const width = this.to - this.from;
    this.from = Math.max(0, Math.min(count() - width, this.from + by));
    this.to = this.from + width;
    this.draw();
  }

  keyAt(x, y) {
    if (y < RULER + SHOTS + NEED) return null;
    const near = (store.project?.hints ?? [])
      .map((hint) => ({ hint, far: Math.abs(this.x(hint.frame + 0.5) - x) }))
      .filter(({ far }) => far < 7)
      .sort((a, b) => a.far - b.far);
    return near[0]?.hint ?? null;
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint();
    });
  }

  paint() {
    const ratio = window.devicePixelRatio || 1;
    const { canvas, width } = this;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(HEIGHT * ratio);
    const c = canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.fillStyle = "#191919";
    c.fillRect(0, 0, width, HEIGHT);
    if (!store.project) return;
    this.paintShots(c);
    this.paintRuler(c);
    if (store.need) this.paintNeed(c);
    this.paintKeys(c);
    this.paintHead(c);
  }

  paintRuler(c) {
    const perFrame = this.width / (this.to - this.from);
    const fps = Math.max(1, Math.round(rate()));
    const steps = [1, 2, 5, 10, fps, 2 * fps, 5 * fps, 10 * fps, 30 * fps, 60 * fps, 300 * fps, 600 * fps];
    const step = steps.sort((a, b) => a - b).find((s) => s * perFrame >= 56) ?? 600 * fps;
    c.font = "10px system-ui, sans-serif";
    c.textBaseline = "middle";
    c.textAlign = "left";
    for (let n = Math.ceil(this.from / step) * step; n < this.to; n += step) {
      const x = Math.round(this.x(n)) + 0.5;
      c.strokeStyle = "#3a3a3a";
      c.beginPath();
      c.moveTo(x, RULER - 6);
      c.lineTo(x, RULER);
      c.stroke();
      c.fillStyle = "#8a8a8a";
      c.fillText(String(n), x + 3, RULER / 2);
    }
  }

  paintShots(c) {
    const here = shotAt(store.frame);
    for (const shot of store.project.shots) {
      if (shot.stop <= this.from || shot.start >= this.to) continue;
      const x0 = this.x(shot.start);
      const x1 = this.x(shot.stop);
      c.fillStyle = shot === here ? "#353535" : "#282828";
      c.fillRect(x0, RULER, x1 - x0, SHOTS);
      // What is due may lie anywhere in the shot; its share is told, at the end of the bar.
      const ready = ((x1 - x0) * (shot.frames - shot.due)) / shot.frames;
      c.fillStyle = STATE.rendered;
      c.fillRect(x0, RULER + SHOTS - 4, ready, 3);
      c.fillStyle = shot.due ? STATE[shot.state] : STATE.rendered;
      c.fillRect(x0 + ready, RULER + SHOTS - 4, x1 - x0 - ready, 3);
      c.fillStyle = shot.begins === "hand" ? "#d0a15c" : "#0f0f0f";
      c.fillRect(Math.round(x0), RULER, 1, SHOTS);
      if (x1 - x0 > 18) {
        c.fillStyle = shot === here ? "#e0e0e0" : "#9a9a9a";
        c.font = "11px system-ui, sans-serif";
        c.textBaseline = "middle";
        c.textAlign = "left";
        c.fillText(String(shot.id + 1), Math.max(x0, 0) + 6, RULER + SHOTS / 2 - 2);
      }
    }
  }

  // How much of each frame is likely to be wrong, as far as it is known.
  paintNeed(c) {
    const bottom = RULER + SHOTS + NEED;
    for (const shot of store.project.shots) {
      if (shot.stop <= this.from || shot.start >= this.to) continue;
      for (const { from, to, share } of spansOf(shot)) {
        const high = Math.max(1, share * (NEED - 2));
        c.fillStyle = heat(share);
        c.fillRect(this.x(from), bottom - high, Math.max(1, this.x(to) - this.x(from)), high);
      }
    }
  }

  paintKeys(c) {
    const y = RULER + SHOTS + NEED + KEYS / 2 + 1;
    c.strokeStyle = "#2c2c2c";
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(0, y + 0.5);
    c.lineTo(this.width, y + 0.5);
    c.stroke();
    const chosen = store.project.hints.find((h) => h.id === store.selected);
    if (chosen) {
      const shot = shotAt(chosen.frame);
      const [start, stop] = chosen.span ?? [shot.start, shot.stop];
      c.strokeStyle = colourOf(chosen) || "#8a8a8a";
      c.lineWidth = 3;
      c.beginPath();
      c.moveTo(this.x(start), y + 0.5);
      c.lineTo(this.x(stop), y + 0.5);
      c.stroke();
    }
    for (const hint of store.project.hints) {
      if (hint === chosen) continue;
      this.diamond(c, this.x(hint.frame + 0.5), y, 5, colourOf(hint), false);
    }
    if (chosen) this.diamond(c, this.x(chosen.frame + 0.5), y, 6.5, colourOf(chosen), true);
  }

  diamond(c, x, y, size, colour, chosen) {
    c.beginPath();
    c.moveTo(x, y - size);
    c.lineTo(x + size, y);
    c.lineTo(x, y + size);
    c.lineTo(x - size, y);
    c.closePath();
    c.fillStyle = colour || "#808080";
    c.fill();
    c.lineWidth = chosen ? 1.8 : 1.2;
    c.strokeStyle = chosen ? "#ffffff" : "#c9c9c9";
    c.stroke();
  }

  paintHead(c) {
    if (this.hover !== null) {
      const n = this.frameAt(this.hover);
      c.fillStyle = "rgba(255,255,255,.16)";
      c.fillRect(this.x(n), 0, Math.max(1, this.x(n + 1) - this.x(n)), HEIGHT);
    }
    const x0 = this.x(store.frame);
    const w = Math.max(1, this.x(store.frame + 1) - x0);
    c.fillStyle = "rgba(225,225,225,.14)";
    c.fillRect(x0, RULER, w, HEIGHT - RULER);
    const x = Math.round(x0 + w / 2) + 0.5;
    c.strokeStyle = "#ededed";
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(x, 3);
    c.lineTo(x, HEIGHT);
    c.stroke();
    const text = String(store.frame);
    c.font = "10px system-ui, sans-serif";
    const wide = c.measureText(text).width + 8;
    const left = Math.max(0, Math.min(this.width - wide, x - wide / 2));
    c.fillStyle = "#ededed";
    c.fillRect(left, 1, wide, 14);
    c.fillStyle = "#161616";
    c.textAlign = "left";
    c.textBaseline = "middle";
    c.fillText(text, left + 4, 8.5);
  }
}
