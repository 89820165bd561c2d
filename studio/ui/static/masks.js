// Masks as pictures to lay over the film.

// A grey mask as a picture of one colour whose alpha is the mask.
export function tinted(bitmap, [r, g, b], strength = 0.55) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const image = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const data = image.data;
  for (let i = 0; i < data.length; i += 4) {
    data[i + 3] = data[i] * strength;
    data[i] = r;
    data[i + 1] = g;
    data[i + 2] = b;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// The outline of a mask, white on dark, so that it shows on any picture.
export function edge(bitmap) {
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const image = context.getImageData(0, 0, width, height);
  const data = image.data;
  const inside = new Uint8Array(width * height);
  for (let i = 0; i < inside.length; i++) inside[i] = data[i * 4] > 127 ? 1 : 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      const border =
        inside[i] &&
        (x === 0 || y === 0 || x === width - 1 || y === height - 1 ||
          !inside[i - 1] || !inside[i + 1] || !inside[i - width] || !inside[i + width]);
      const light = (x + y) % 8 < 4 ? 245 : 20;
      data[i * 4] = data[i * 4 + 1] = data[i * 4 + 2] = light;
      data[i * 4 + 3] = border ? 235 : 0;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
