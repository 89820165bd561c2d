// Pictures of the film as bitmaps, kept by address; addresses carry a key, so none is ever stale.

import { url } from "./api.js";
import { on, shotAt, store } from "./store.js";

const BUDGET_BYTES = 320 * 1024 * 1024;
const bitmaps = new Map();
let bytes = 0;

// What a picture of the film hangs on: of a coloured one, all that is said in its shot.
export const keyOf = (kind, n) => (kind === "coloured" ? shotAt(n)?.key : store.project.keys[kind]);

export const address = (kind, n, height = 0) =>
  `/pictures/${kind}/${n}.jpg?v=${keyOf(kind, n)}${height ? `&h=${height}` : ""}`;

const size = (bitmap) => bitmap.width * bitmap.height * 4;

function trim() {
  for (const [key, entry] of bitmaps) {
    if (bytes <= BUDGET_BYTES) return;
    if (!entry.bitmap) continue;
    bitmaps.delete(key);
    bytes -= size(entry.bitmap);
  }
}

// Put a bitmap that came another way (the answer to an edit) where the next look-up finds it.
export function keep(kind, n, bitmap) {
  if (!store.project) return;
  const key = address(kind, n);
  const old = bitmaps.get(key);
  if (old?.bitmap) bytes -= size(old.bitmap);
  bitmaps.delete(key);
  bitmaps.set(key, { bitmap, promise: Promise.resolve(bitmap) });
  bytes += size(bitmap);
}

export function ready(kind, n) {
  if (!store.project) return null;
  const key = address(kind, n);
  const entry = bitmaps.get(key);
  if (!entry?.bitmap) return null;
  bitmaps.delete(key);
  bitmaps.set(key, entry);
  return entry.bitmap;
}

export function load(kind, n) {
  if (!store.project) return Promise.reject(new Error("no project is open"));
  const key = address(kind, n);
  const found = bitmaps.get(key);
  if (found) return found.promise;
  const entry = { bitmap: null, promise: null };
  entry.promise = fetch(url(key))
    .then(async (response) => {
      if (!response.ok) {
        const told = await response.json().catch(() => ({}));
        throw new Error(told.error || `frame ${n}: the server answered ${response.status}`);
      }
      return createImageBitmap(await response.blob());
    })
    .then((bitmap) => {
      entry.bitmap = bitmap;
      bytes += size(bitmap);
      trim();
      return bitmap;
    })
    .catch((error) => {
      bitmaps.delete(key);
      throw error;
    });
  bitmaps.set(key, entry);
  return entry.promise;
}

let wanted = 0;

// An edit comes first: what is fetched in advance would be made by the same hands.
on("saving", () => {
  if (store.saving) wanted++;
});

// Fetch neighbours one after another, nearest first, ahead more than behind; a newer wish ends an older. Frames
// that are not rendered cost the server as much as an edit does, so fewer of them are asked for.
export async function prefetch(kinds, n, direction, count) {
  const mine = ++wanted;
  const reach = shotAt(n)?.state === "rendered" ? 6 : 2;
  for (let step = 1; step <= reach; step++) {
    for (const m of step <= 3 ? [n + step * direction, n - step * direction] : [n + step * direction]) {
      if (mine !== wanted) return;
      if (m < 0 || m >= count) continue;
      for (const kind of kinds) await load(kind, m).catch(() => {});
    }
  }
}
