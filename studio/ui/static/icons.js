// Line icons on a 16 × 16 grid.

const PATHS = {
  select: '<path d="M4 2.5v10l2.8-2.6 1.9 4 1.6-.8-1.9-3.9 3.8-.3z"/>',
  point: '<circle cx="8" cy="8" r="2.2"/><path d="M8 1.5v3M8 11.5v3M1.5 8h3M11.5 8h3"/>',
  region: '<path d="M5.5 2.5c4-1 8 .5 8 4.5s-3 3-3.5 5.5-6 1.5-7-2 .5-7 2.5-8z" stroke-dasharray="2.2 1.6"/>',
  scribble: '<path d="M2 11c2-6 4-7 4.5-5s-2 5 0 5 3-6 4.5-6-.5 5 1 5 1.5-1.5 2-2.5"/>',
  neutral: '<circle cx="8" cy="8" r="5.5"/><path d="M8 2.5a5.5 5.5 0 0 1 0 11z" fill="currentColor"/>',
  lock: '<rect x="3.5" y="7" width="9" height="6.5" rx="1"/><path d="M5.5 7V5a2.5 2.5 0 0 1 5 0v2"/>',
  pick: '<path d="M10 3.5l2.5 2.5M9 4.5l2.5 2.5-6 6H3v-2.5z"/><path d="M11 2.8a1.6 1.6 0 0 1 2.2 2.2"/>',
  reference: '<rect x="2.5" y="3.5" width="11" height="9"/><path d="M3 11l3-3 2.5 2.5L11 8l2.5 2.5"/>',
  play: '<path d="M5 3l8 5-8 5z" fill="currentColor"/>',
  pause: '<path d="M5.5 3v10M10.5 3v10" stroke-width="2.4"/>',
  first: '<path d="M4 3v10M13 3L6 8l7 5z"/>',
  last: '<path d="M12 3v10M3 3l7 5-7 5z"/>',
  back: '<path d="M10.5 3.5L6 8l4.5 4.5"/>',
  forward: '<path d="M5.5 3.5L10 8l-4.5 4.5"/>',
  keyBefore: '<path d="M10.5 4.5L14 8l-3.5 3.5L7 8zM5 5L2 8l3 3"/>',
  keyAfter: '<path d="M5.5 4.5L2 8l3.5 3.5L9 8zM11 5l3 3-3 3"/>',
  need: '<path d="M8 13.5s-4.5-4-4.5-7a4.5 4.5 0 0 1 9 0c0 3-4.5 7-4.5 7zM8 4.4v2.6M8 8.6v.5"/>',
  loop: '<path d="M4 6h7a2.5 2.5 0 0 1 0 5H5M6.5 3.5L4 6l2.5 2.5"/>',
  remove: '<path d="M4.5 4.5l7 7M11.5 4.5l-7 7"/>',
  accept: '<path d="M3 8.5l3.5 3.5L13 4.5"/>',
  up: '<path d="M4 9.5L8 5.5l4 4"/>',
  down: '<path d="M4 6.5L8 10.5l4-4"/>',
};

export const icon = (name) =>
  `<svg viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.3" ` +
  `stroke-linejoin="round" stroke-linecap="round" aria-hidden="true">${PATHS[name] || ""}</svg>`;
