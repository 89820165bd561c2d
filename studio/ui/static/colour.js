// sRGB hex and the picker's hue, strength and lightness of value.

export const isHex = (text) => /^#[0-9a-f]{6}$/i.test(text);

export function hexToHsv(text) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16) / 255);
  const top = Math.max(r, g, b);
  const range = top - Math.min(r, g, b);
  let h = 0;
  if (range) {
    if (top === r) h = ((g - b) / range) % 6;
    else if (top === g) h = (b - r) / range + 2;
    else h = (r - g) / range + 4;
  }
  return { h: ((h * 60) + 360) % 360, s: top ? range / top : 0, v: top };
}

export function hsvToHex({ h, s, v }) {
  const part = (n) => {
    const k = (n + h / 60) % 6;
    return v - v * s * Math.max(0, Math.min(k, 4 - k, 1));
  };
  return `#${[5, 3, 1].map((n) => Math.round(part(n) * 255).toString(16).padStart(2, "0")).join("")}`;
}
