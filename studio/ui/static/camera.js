// Where the picture lies on the stage: zoom and pan. Picture coordinates have their origin top left.

export class Camera {
  scale = 1;
  x = 0;
  y = 0;
  fitted = true;

  // Whole picture in view, with a margin of neutral grey round it.
  fit(picture, stage, margin = 20) {
    const room = { w: stage.width - 2 * margin, h: stage.height - 2 * margin };
    this.scale = Math.max(0.02, Math.min(room.w / picture.width, room.h / picture.height));
    this.centre(picture, stage);
    this.fitted = true;
  }

  // One picture pixel to one pixel of the screen.
  actual(picture, stage, ratio) {
    this.scale = 1 / ratio;
    this.centre(picture, stage);
    this.fitted = false;
  }

  centre(picture, stage) {
    this.x = (stage.width - picture.width * this.scale) / 2;
    this.y = (stage.height - picture.height * this.scale) / 2;
  }

  zoom(factor, at) {
    const scale = Math.max(0.05, Math.min(40, this.scale * factor));
    this.x = at.x - ((at.x - this.x) * scale) / this.scale;
    this.y = at.y - ((at.y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
  }

  toPicture(at) {
    return { x: (at.x - this.x) / this.scale, y: (at.y - this.y) / this.scale };
  }

  toScreen(at) {
    return { x: at.x * this.scale + this.x, y: at.y * this.scale + this.y };
  }
}
