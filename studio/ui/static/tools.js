// The tools: what a click, a drag, Enter and Esc mean on the picture.

import { base64, change, changeForPicture } from "./api.js";
import { addHint, updateHint } from "./edits.js";
import { anchor, drawPath, hintAt } from "./marks.js";
import { edge, tinted } from "./masks.js";
import { emit, hintById, keepColour, on, regionById, select, store, useColour } from "./store.js";
import { tell } from "./toast.js";

const MASKED = new Set(["region", "neutral", "lock"]);
const CLICK_PX = 4;
const LOOK_MS = 250;

const hex = ([r, g, b]) => `#${[r, g, b].map((v) => v.toString(16).padStart(2, "0")).join("")}`;

const rgb = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));

const whole = (v) => Math.round(v * 100) / 100;

export class Tools {
  making = null;
  stroke = null;
  loop = null;
  brush = null;
  moving = null;
  before = "point";
  width = 8;

  constructor(viewer) {
    this.viewer = viewer;
    this.card = viewer.element.querySelector("#making");
    on("tool", () => this.look());
    on("frame", () => this.look());
  }

  // A tool that marks things is in hand and the film stands still: the segmenter may look at the frame by now.
  look() {
    clearTimeout(this.looking);
    if (!MASKED.has(store.tool) || !store.project) return;
    const frame = store.frame;
    this.looking = setTimeout(() => {
      if (!this.viewer.playing && frame === store.frame) change("POST", `/segment/look/${frame}`).catch(() => {});
    }, LOOK_MS);
  }

  choose(tool) {
    if (tool === "pick" && store.tool !== "pick") this.before = store.tool;
    if (tool !== store.tool && tool !== "pick") this.cancel();
    store.tool = tool;
    emit("tool");
  }

  // What the next hint says of colour: its region, else the bare colour.
  paintOf() {
    return store.region ? { region: store.region } : { colour: store.colour };
  }

  shownColour() {
    return (store.region && regionById(store.region)?.colour) || store.colour;
  }

  inside({ x, y }) {
    const size = this.viewer.picture;
    return size && x >= 0 && y >= 0 && x < size.width && y < size.height;
  }

  cursor(at) {
    if (!at || !this.inside(at)) return "default";
    if (store.marks && !this.making && hintAt(at, this.viewer.camera) && store.tool !== "pick") return "move";
    return store.tool === "select" ? "default" : "crosshair";
  }

  // ---------------------------------------------------------------- pointer

  down(at, event) {
    this.from = { at, screen: { x: event.clientX, y: event.clientY }, time: performance.now() };
    if (store.tool === "pick" || event.altKey) return;
    const hit = store.marks && !this.making && event.button === 0 && hintAt(at, this.viewer.camera);
    if (hit) {
      select(hit.id);
      if (hit.kind === "point") this.moving = { id: hit.id, at: anchor(hit), moved: false };
      return;
    }
    if (store.tool === "scribble" && event.button === 0 && this.inside(at)) {
      this.stroke = [[whole(at.x), whole(at.y)]];
      this.viewer.draw();
    }
  }

  move(at, event) {
    if (this.moving && event.buttons & 1) {
      const far = Math.hypot(event.clientX - this.from.screen.x, event.clientY - this.from.screen.y);
      if (far > CLICK_PX || this.moving.moved) this.moving = { id: this.moving.id, at, moved: true };
      this.viewer.draw();
    } else if (this.stroke) {
      const [x, y] = this.stroke[this.stroke.length - 1];
      if (Math.hypot(at.x - x, at.y - y) >= 1.5) this.stroke.push([whole(at.x), whole(at.y)]);
      this.viewer.draw();
    } else if (MASKED.has(store.tool) && event.buttons & 3 && this.from && !store.selectedByDown) {
      this.dragRegion(at, event);
      this.viewer.draw();
    }
    this.hover = at;
    if (store.tool === "scribble" || store.tool === "pick") this.viewer.draw();
  }

  // A drag draws a box, with Ctrl a loop; once something is marked, it paints: in, or with Shift out.
  dragRegion(at, event) {
    const from = this.from;
    const far = Math.hypot(event.clientX - from.screen.x, event.clientY - from.screen.y) > 3 * CLICK_PX;
    const begun = this.loop || this.brush;
    if (begun) {
      const [x, y] = begun[begun.length - 1];
      if (this.inside(at) && Math.hypot(at.x - x, at.y - y) >= 1.5) begun.push([whole(at.x), whole(at.y)]);
    } else if (far) {
      const path = [[whole(from.at.x), whole(from.at.y)]];
      if (event.ctrlKey || event.metaKey) this.loop = path;
      else if (this.making) this.brush = path;
      else this.box = [from.at.x, from.at.y, at.x, at.y];
    } else {
      this.box = null;
    }
  }

  up(at, event) {
    const since = performance.now();
    const moving = this.moving;
    this.moving = null;
    if (store.tool === "pick" || event.altKey) {
      this.pickAt(at);
      return;
    }
    if (moving) {
      if (moving.moved && this.inside(at)) {
        updateHint(moving.id, { xy: [whole(at.x), whole(at.y)] }, since);
      }
      this.viewer.draw();
      return;
    }
    if (store.tool === "scribble") {
      this.finishStroke(since);
      return;
    }
    if (!this.inside(this.from.at)) return;
    if (store.tool === "select") {
      if (!hintAt(at, this.viewer.camera)) select(null);
    } else if (store.tool === "point" && event.button === 0) {
      this.placePoint(this.from.at, since);
    } else if (MASKED.has(store.tool)) {
      if (hintAt(this.from.at, this.viewer.camera) && !this.making && store.marks) return;
      this.clickRegion(at, event);
    }
  }

  leave() {
    this.hover = null;
    this.viewer.draw();
  }

  cancelStroke() {
    this.stroke = this.moving = this.box = this.loop = this.brush = null;
    this.viewer.draw();
  }

  // ---------------------------------------------------------------- point, scribble, eyedropper

  async placePoint(at, since) {
    const hint = {
      frame: store.frame,
      kind: "point",
      xy: [whole(at.x), whole(at.y)],
      radius: 3,
      ...this.paintOf(),
    };
    keepColour(this.shownColour());
    const note = await addHint(hint, null, since);
    if (note?.id) select(note.id);
  }

  async finishStroke(since) {
    const path = this.stroke;
    this.stroke = null;
    if (!path) return;
    keepColour(this.shownColour());
    const hint = { frame: store.frame, kind: "scribble", path, width: this.width, ...this.paintOf() };
    const note = await addHint(hint, null, since);
    if (note?.id) select(note.id);
  }

  pickAt(at) {
    if (this.inside(at)) {
      const colour = this.viewer.colourAt(at.x, at.y);
      if (colour) {
        useColour(hex(colour));
        emit("picked", hex(colour));
      }
    }
    if (store.tool === "pick") this.choose(this.before);
  }

  // ---------------------------------------------------------------- region, neutral, lock

  clickRegion(at, event) {
    const out = event.shiftKey || event.button === 2;
    const { box, loop, brush } = this;
    this.box = this.loop = this.brush = null;
    if (!this.making) {
      this.making = { kind: store.tool, frame: store.frame, points: [], box: null, lasso: null, strokes: [], said: [] };
    }
    if (loop) {
      this.making.lasso = loop;
    } else if (brush) {
      this.making.strokes.push({ path: brush, width: this.width, inside: !out });
      this.making.said.push("strokes");
    } else if (box) {
      this.making.box = [
        Math.min(box[0], box[2]),
        Math.min(box[1], box[3]),
        Math.max(box[0], box[2]),
        Math.max(box[1], box[3]),
      ].map(whole);
    } else {
      this.making.points.push([whole(this.from.at.x), whole(this.from.at.y), out ? 0 : 1]);
      this.making.said.push("points");
    }
    this.segment();
  }

  // Whether what was drawn so far says where the object is.
  tells() {
    const { points, box, lasso, strokes } = this.making;
    return Boolean(points.some((p) => p[2]) || strokes.some((s) => s.inside) || box || lasso);
  }

  async segment() {
    const making = this.making;
    this.showCard("…");
    if (!this.tells()) {
      this.showCard("click inside what you mean first");
      return;
    }
    const first = making.points.find((p) => p[2]);
    if (making.kind === "region" && first) emit("place", { frame: making.frame, x: first[0], y: first[1] });
    const wish = (making.wish = (making.wish || 0) + 1);
    const since = performance.now();
    const answer = await tell(() =>
      changeForPicture("POST", "/segment", {
        frame: making.frame,
        points: making.points,
        box: making.box,
        lasso: making.lasso,
        strokes: making.strokes,
      }),
    );
    if (this.making !== making || making.wish !== wish) return;
    if (!answer) {
      making[making.said.pop()]?.pop();
      if (!making.said.length) this.cancel();
      return;
    }
    making.png = base64(await answer.blob.arrayBuffer());
    making.bitmap = await createImageBitmap(answer.blob);
    making.share = answer.note.share;
    making.ms = performance.now() - since;
    this.tint();
    this.showCard();
    this.viewer.draw();
  }

  tint() {
    const making = this.making;
    if (!making?.bitmap) return;
    const colour = making.kind === "region" ? rgb(this.shownColour()) : [128, 128, 128];
    making.fill = tinted(making.bitmap, colour, 1);
    making.edge = edge(making.bitmap);
  }

  showCard(text) {
    const making = this.making;
    const card = this.card;
    card.hidden = !making;
    if (!making) return;
    const plus = making.points.filter((p) => p[2]).length + making.strokes.filter((s) => s.inside).length;
    const minus = making.said.length - plus;
    const size = making.share != null ? `${(making.share * 100).toFixed(1)} % of the picture` : "";
    card.innerHTML =
      `<b>${making.kind}</b><span>+${plus} −${minus}</span><span class="muted">${text ?? size}</span>` +
      `<button class="flat" data-do="cancel">Cancel <kbd>Esc</kbd></button>` +
      `<button class="plain" data-do="accept" ${making.png ? "" : "disabled"}>Accept <kbd>Enter</kbd></button>`;
    card.querySelector('[data-do="cancel"]').onclick = () => this.cancel();
    card.querySelector('[data-do="accept"]').onclick = () => this.accept();
  }

  // Take the last click back; the first one ends it.
  back() {
    if (!this.making) return false;
    const { said, box, lasso } = this.making;
    this.making[said.pop()]?.pop();
    if (said.length || box || lasso) this.segment();
    else this.cancel();
    return true;
  }

  async accept() {
    const making = this.making;
    if (!making?.png) return;
    this.making = null;
    this.showCard();
    const hint = { frame: making.frame, kind: making.kind };
    if (making.kind === "region") Object.assign(hint, this.paintOf());
    if (making.kind === "region") keepColour(this.shownColour());
    const first = making.points.find((p) => p[2]) ?? making.strokes.find((s) => s.inside)?.path[0];
    if (first) hint.at = [first[0], first[1]];
    const note = await addHint(hint, making.png, performance.now());
    if (note?.id) select(note.id);
  }

  cancel() {
    const was = this.making || this.stroke;
    this.making = this.stroke = this.box = this.loop = this.brush = null;
    this.showCard();
    this.viewer.draw();
    return Boolean(was);
  }

  leaveFrame() {
    if (this.making && this.making.frame !== store.frame) this.cancel();
    if (store.selected && hintById(store.selected)?.frame !== store.frame) select(null);
  }

  // ---------------------------------------------------------------- drawing

  paint(context) {
    const { camera, picture } = this.viewer;
    const making = this.making;
    if (making?.fill) {
      const box = [camera.x, camera.y, picture.width * camera.scale, picture.height * camera.scale];
      context.save();
      context.globalAlpha = 0.55;
      context.drawImage(making.fill, ...box);
      context.globalAlpha = 1;
      context.drawImage(making.edge, ...box);
      context.restore();
    }
    for (const [x, y, inside] of making?.points ?? []) {
      const at = camera.toScreen({ x, y });
      context.beginPath();
      context.arc(at.x, at.y, 5, 0, 7);
      context.fillStyle = inside ? "#f2f2f2" : "#1a1a1a";
      context.fill();
      context.lineWidth = 1.5;
      context.strokeStyle = inside ? "#1a1a1a" : "#f2f2f2";
      context.stroke();
      context.beginPath();
      context.moveTo(at.x - 2.5, at.y);
      context.lineTo(at.x + 2.5, at.y);
      if (inside) {
        context.moveTo(at.x, at.y - 2.5);
        context.lineTo(at.x, at.y + 2.5);
      }
      context.stroke();
    }
    const frame = this.box || making?.box;
    if (frame) {
      const a = camera.toScreen({ x: frame[0], y: frame[1] });
      const b = camera.toScreen({ x: frame[2], y: frame[3] });
      context.strokeStyle = "#f2f2f2";
      context.setLineDash([4, 3]);
      context.lineWidth = 1;
      context.strokeRect(a.x, a.y, b.x - a.x, b.y - a.y);
      context.setLineDash([]);
    }
    for (const { path, width, inside } of making?.strokes ?? []) {
      drawPath(context, camera, path, width, false, inside ? "#f2f2f2" : "#1a1a1a");
    }
    if (this.brush) drawPath(context, camera, this.brush, this.width, true, "#f2f2f2");
    for (const loop of [this.loop, making?.lasso]) {
      if (loop) drawPath(context, camera, [...loop, loop[0]], 1 / camera.scale, false, "#f2f2f2");
    }
    if (this.stroke) drawPath(context, camera, this.stroke, this.width, true, this.shownColour());
    if (this.hover && this.inside(this.hover)) this.paintHover(context, camera);
  }

  paintHover(context, camera) {
    const at = camera.toScreen(this.hover);
    if (store.tool === "scribble" && !this.stroke) {
      context.beginPath();
      context.arc(at.x, at.y, Math.max(1, (this.width / 2) * camera.scale), 0, 7);
      context.strokeStyle = "rgba(255,255,255,.8)";
      context.lineWidth = 1;
      context.stroke();
    } else if (store.tool === "pick") {
      const colour = this.viewer.colourAt(this.hover.x, this.hover.y);
      if (!colour) return;
      context.fillStyle = hex(colour);
      context.strokeStyle = "#e6e6e6";
      context.lineWidth = 1;
      context.fillRect(at.x + 14, at.y - 34, 44, 22);
      context.strokeRect(at.x + 14, at.y - 34, 44, 22);
    }
  }
}
