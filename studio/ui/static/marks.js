// Hints drawn on the picture: where they are, what colour they ask for, which one is chosen.

import { colourOf, store } from "./store.js";

const REACH_PX = 10;

// Where a hint's handle stands, in pixels of the picture; null where it has no single place.
export function anchor(hint) {
  if (hint.kind === "point") return { x: hint.xy[0], y: hint.xy[1] };
  if (hint.kind === "scribble") {
    const [x, y] = hint.path[Math.floor(hint.path.length / 2)];
    return { x, y };
  }
  if (hint.at) return { x: hint.at[0], y: hint.at[1] };
  return null;
}

export const here = () => (store.project?.hints ?? []).filter((h) => h.frame === store.frame);

// The hint whose handle is under a place of the picture.
export function hintAt(at, camera) {
  const near = here()
    .map((hint) => ({ hint, place: anchor(hint) }))
    .filter(({ place }) => place)
    .map(({ hint, place }) => ({ hint, far: Math.hypot(place.x - at.x, place.y - at.y) * camera.scale }))
    .filter(({ far }) => far <= REACH_PX)
    .sort((a, b) => a.far - b.far);
  return near[0]?.hint ?? null;
}

export function drawMarks(context, camera, moving) {
  for (const hint of here()) {
    const chosen = hint.id === store.selected;
    const colour = colourOf(hint);
    if (hint.kind === "scribble") drawPath(context, camera, hint.path, hint.width ?? 6, chosen, colour);
    const place = moving?.id === hint.id ? moving.at : anchor(hint);
    if (place) drawHandle(context, camera.toScreen(place), hint.kind, colour, chosen);
  }
}

export function drawPath(context, camera, path, width, chosen, colour) {
  if (!path.length) return;
  context.beginPath();
  path.forEach(([x, y], i) => {
    const at = camera.toScreen({ x, y });
    if (i) context.lineTo(at.x, at.y);
    else context.moveTo(at.x, at.y);
  });
  if (path.length === 1) {
    const at = camera.toScreen({ x: path[0][0], y: path[0][1] });
    context.lineTo(at.x + 0.1, at.y);
  }
  context.lineCap = context.lineJoin = "round";
  context.globalAlpha = chosen ? 0.75 : 0.4;
  context.strokeStyle = colour || "#808080";
  context.lineWidth = Math.max(1.5, width * camera.scale);
  context.stroke();
  context.globalAlpha = 1;
}

function drawHandle(context, at, kind, colour, chosen) {
  const size = chosen ? 8 : 6;
  const shape = () => {
    context.beginPath();
    if (kind === "point" || kind === "scribble") context.arc(at.x, at.y, size, 0, 7);
    else context.rect(at.x - size, at.y - size, 2 * size, 2 * size);
  };
  shape();
  context.lineWidth = 4;
  context.strokeStyle = "rgba(0,0,0,.6)";
  context.stroke();
  context.fillStyle = colour || "#808080";
  context.fill();
  context.lineWidth = chosen ? 2 : 1.5;
  context.strokeStyle = chosen ? "#ffffff" : "#d0d0d0";
  context.stroke();
  if (kind === "lock" || kind === "neutral") {
    context.fillStyle = "#111";
    context.font = "bold 9px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(kind === "lock" ? "L" : "N", at.x, at.y + 0.5);
  }
}
