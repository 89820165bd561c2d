// Path fields that complete from the folders of the server's machine (only where it is one's own machine).

import { getJson } from "./api.js";
import { store } from "./store.js";

export function complete(field) {
  let wish = 0;
  const ask = async () => {
    if (!store.browse) return;
    const mine = ++wish;
    const paths = await getJson(`/paths?prefix=${encodeURIComponent(field.value)}`).catch(() => []);
    if (mine !== wish) return;
    document.getElementById("paths").replaceChildren(...paths.map((p) => new Option(p)));
  };
  field.addEventListener("focus", ask);
  field.addEventListener("input", ask);
}
