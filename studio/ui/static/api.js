// Talking to the server: one header on every change, one shape of error, one round trip.

const root = (window.gradio_config?.root || "").replace(/\/$/, "");

export const url = (path) => `${root}/v1${path}`;

export class Fault extends Error {}

async function send(method, path, body) {
  const options = { method, headers: {} };
  if (method !== "GET") {
    options.headers = { "Content-Type": "application/json", "X-Pochoir": "1" };
    options.body = JSON.stringify(body ?? {});
  }
  let response;
  try {
    response = await fetch(url(path), options);
  } catch {
    throw new Fault("the studio's server does not answer");
  }
  if (response.status === 401) location.reload();
  if (!response.ok) {
    const told = await response.json().catch(() => ({}));
    throw new Fault(told.error || `the server answered ${response.status}`);
  }
  return response;
}

export const getJson = async (path) => (await send("GET", path)).json();

export const change = async (method, path, body) => (await send(method, path, body)).json();

// A change that is answered with a picture: the bytes, and what else there is to say.
export async function changeForPicture(method, path, body) {
  const response = await send(method, path, body);
  const note = JSON.parse(response.headers.get("X-Pochoir") || "{}");
  return { note, blob: await response.blob() };
}

export function base64(buffer) {
  const bytes = new Uint8Array(buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  }
  return btoa(text);
}
