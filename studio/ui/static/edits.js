// Changes to the film. Each is one round trip that brings the picture as it looks afterwards.

import { change, changeForPicture } from "./api.js";
import { emit, refresh, store } from "./store.js";
import { tell } from "./toast.js";

let chain = Promise.resolve();

// One change at a time, in the order in which they were made: undo must meet what it is to undo.
function inOrder(work) {
  const next = chain.then(work, work);
  chain = next.catch(() => {});
  return next;
}

export function edit(method, path, body, { since = performance.now() } = {}) {
  store.saving++;
  emit("saving");
  return tell(() =>
    inOrder(async () => {
      const show = store.frame;
      const { note, blob } = await changeForPicture(method, path, { ...body, show, side: store.side });
      const bitmap = await createImageBitmap(blob);
      emit("edited", { frame: show, bitmap, since, note });
      await refresh();
      emit("settled", { frame: show, bitmap });
      return note;
    }),
  ).finally(() => {
    store.saving--;
    emit("saving");
  });
}

// A change whose effect on the picture is not one frame's (cuts, recipe).
export function alter(method, path, body) {
  store.saving++;
  emit("saving");
  return tell(() =>
    inOrder(async () => {
      const note = await change(method, path, body);
      await refresh();
      return note;
    }),
  ).finally(() => {
    store.saving--;
    emit("saving");
  });
}

export const addHint = (hint, mask, since) =>
  edit("POST", "/hints", { hint, ...(mask ? { mask_png: mask } : {}) }, { since });

export const addReference = (image) =>
  edit("POST", "/hints", { hint: { frame: store.frame, kind: "reference" }, image });

export const updateHint = (id, changes, since) => edit("PATCH", `/hints/${id}`, { changes }, { since });

export const deleteHint = (id) => edit("POST", `/hints/${id}/delete`, {});

export const putRegion = (region) => edit("POST", "/regions", { region });

export const undo = () => store.project?.can_undo && edit("POST", "/undo", {});

export const redo = () => store.project?.can_redo && edit("POST", "/redo", {});
