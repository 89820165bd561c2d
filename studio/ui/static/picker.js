// The colour picker: a field of strength × lightness, a strip of hues, the hex, what was used lately.

import { getJson } from "./api.js";
import { hexToHsv, hsvToHex, isHex } from "./colour.js";
import { emit, on, store, useColour } from "./store.js";

export class Picker {
  // `commit(colour)` is called once a choice is made; while dragging only the swatch follows.
  constructor(element, commit) {
    this.shade = element.querySelector("#shade");
    this.hue = element.querySelector("#hue");
    this.hex = element.querySelector("#hex");
    this.swatch = element.querySelector("#swatch");
    this.recent = element.querySelector("#recent");
    this.suggested = element.querySelector("#suggested");
    this.commit = commit;
    this.at = hexToHsv(store.colour);
    this.drag(this.shade, (x, y) => {
      this.at = { ...this.at, s: x, v: 1 - y };
    });
    this.drag(this.hue, (x) => {
      this.at = { ...this.at, h: Math.min(359.9, x * 360) };
    });
    this.hex.onkeydown = (event) => {
      if (event.key === "Enter") this.hex.blur();
      if (event.key === "Escape") {
        this.hex.value = store.colour;
        this.hex.blur();
      }
    };
    this.hex.onchange = () => this.typed();
    on("colour", () => this.draw());
    on("place", (place) => this.suggest(place));
    on("recent", () => this.drawRecent());
    this.draw();
    this.drawRecent();
  }

  typed() {
    const text = this.hex.value.trim().replace(/^#?/, "#").toLowerCase();
    const long = /^#[0-9a-f]{3}$/.test(text) ? `#${[...text.slice(1)].map((c) => c + c).join("")}` : text;
    this.hex.classList.toggle("wrong", !isHex(long));
    if (isHex(long)) this.choose(long);
  }

  choose(colour) {
    useColour(colour, { keep: false });
    this.commit(colour);
  }

  drag(canvas, take) {
    const use = (event) => {
      const box = canvas.getBoundingClientRect();
      const bound = (v) => Math.max(0, Math.min(1, v));
      take(bound((event.clientX - box.left) / box.width), bound((event.clientY - box.top) / box.height));
      this.holding = true;
      useColour(hsvToHex(this.at), { keep: false });
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      use(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) use(event);
    });
    canvas.addEventListener("pointerup", () => {
      this.holding = false;
      this.commit(store.colour);
    });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      const bound = (v) => Math.max(0, Math.min(1, v));
      this.at =
        canvas === this.hue
          ? { ...this.at, h: (this.at.h + step[0] * 2 + 360) % 360 }
          : { ...this.at, s: bound(this.at.s + step[0] * 0.01), v: bound(this.at.v + step[1] * 0.01) };
      this.holding = true;
      useColour(hsvToHex(this.at), { keep: false });
      this.holding = false;
    });
    canvas.addEventListener("keyup", (event) => {
      if (event.key.startsWith("Arrow")) this.commit(store.colour);
    });
  }

  draw() {
    // While it is dragged the picker's own place is the truth: greys have no hue to be read back.
    if (!this.holding && hsvToHex(this.at) !== store.colour) {
      const read = hexToHsv(store.colour);
      this.at = read.s === 0 || read.v === 0 ? { ...read, h: this.at.h } : read;
    }
    if (document.activeElement !== this.hex) {
      this.hex.value = store.colour;
      this.hex.classList.remove("wrong");
    }
    this.swatch.style.background = store.colour;
    this.paintShade();
    this.paintHue();
  }

  paintShade() {
    const { width, height } = this.shade;
    const c = this.shade.getContext("2d");
    c.fillStyle = hsvToHex({ h: this.at.h, s: 1, v: 1 });
    c.fillRect(0, 0, width, height);
    const across = c.createLinearGradient(0, 0, width, 0);
    across.addColorStop(0, "#ffffff");
    across.addColorStop(1, "rgba(255,255,255,0)");
    c.fillStyle = across;
    c.fillRect(0, 0, width, height);
    const down = c.createLinearGradient(0, 0, 0, height);
    down.addColorStop(0, "rgba(0,0,0,0)");
    down.addColorStop(1, "#000000");
    c.fillStyle = down;
    c.fillRect(0, 0, width, height);
    c.beginPath();
    c.arc(this.at.s * width, (1 - this.at.v) * height, 5.5, 0, 7);
    c.lineWidth = 3;
    c.strokeStyle = "rgba(0,0,0,.7)";
    c.stroke();
    c.lineWidth = 1.5;
    c.strokeStyle = "#fff";
    c.stroke();
  }

  paintHue() {
    const { width, height } = this.hue;
    const c = this.hue.getContext("2d");
    const across = c.createLinearGradient(0, 0, width, 0);
    for (let i = 0; i <= 6; i++) across.addColorStop(i / 6, hsvToHex({ h: (i * 60) % 360, s: 1, v: 1 }));
    c.fillStyle = across;
    c.fillRect(0, 0, width, height);
    const x = (this.at.h / 360) * width;
    c.strokeStyle = "#111";
    c.lineWidth = 4;
    c.strokeRect(x - 2, 1, 4, height - 2);
    c.strokeStyle = "#fff";
    c.lineWidth = 1.5;
    c.strokeRect(x - 2, 1, 4, height - 2);
  }

  swatchOf(colour, title = colour) {
    const swatch = document.createElement("button");
    swatch.className = "swatch";
    swatch.style.background = colour;
    swatch.title = title;
    swatch.setAttribute("aria-label", title);
    swatch.onclick = () => {
      this.choose(colour);
      emit("recent");
    };
    return swatch;
  }

  drawRecent() {
    this.recent.replaceChildren(...store.recentColours.map((colour) => this.swatchOf(colour)));
  }

  // What the network holds for likely where a person is at work: asked for anew with each place.
  async suggest(place) {
    const wish = (this.wish = (this.wish || 0) + 1);
    let colours = [];
    if (place) {
      const { frame, x, y } = place;
      const told = await getJson(`/suggest/${frame}?x=${x}&y=${y}`).catch(() => ({ colours: [] }));
      colours = told.colours;
    }
    if (wish !== this.wish) return;
    const [box] = this.suggested.getElementsByClassName("swatches");
    box.replaceChildren(
      ...colours.map(({ colour, share }) => this.swatchOf(colour, `${colour}, ${Math.round(share * 100)} % likely`)),
    );
    this.suggested.hidden = !colours.length;
  }
}
