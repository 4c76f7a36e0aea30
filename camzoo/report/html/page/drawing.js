// Pictures of a slice on canvases: image, map in colours, outlines.
"use strict";

const drawing = (() => {
  // Cividis, which looks the same to the colour-blind, at nine evenly spaced values.
  const ANCHORS = [[0, 34, 78], [26, 56, 111], [67, 78, 108], [97, 101, 111], [125, 124, 120], [155, 148, 118], [188, 174, 108], [222, 201, 88], [254, 232, 56]];
  const OPACITY = 0.6;
  const REFERENCE = { colour: camzoo.style("--reference"), dash: [] };
  const MASK = { colour: camzoo.style("--mask"), dash: [7, 4] };
  const CASING = camzoo.style("--casing");

  function colour(value) {
    const place = Math.min(Math.max(value, 0), 1) * (ANCHORS.length - 1);
    const low = Math.min(Math.floor(place), ANCHORS.length - 2);
    return ANCHORS[low].map((part, k) => part + (place - low) * (ANCHORS[low + 1][k] - part));
  }

  function bar(canvas) {
    const context = canvas.getContext("2d");
    for (let x = 0; x < canvas.width; x++) {
      context.fillStyle = `rgb(${colour(x / (canvas.width - 1)).map(Math.round)})`;
      context.fillRect(x, 0, 1, canvas.height);
    }
  }

  // Pixels of a slice; `value` gives what is laid over a pixel, from 0 to 1, or null for nothing.
  function pixels(image, shape, value) {
    const [, rows, columns] = shape;
    const data = new ImageData(columns, rows);
    for (let k = 0; k < image.length; k++) {
      const over = value ? value(k) : null;
      const tint = over === null ? null : colour(over);
      for (let part = 0; part < 3; part++) {
        data.data[4 * k + part] = tint ? (1 - OPACITY) * image[k] + OPACITY * tint[part] : image[k];
      }
      data.data[4 * k + 3] = 255;
    }
    return data;
  }

  // For each corner of a pixel the corners that a border leads to, with the inside on its right.
  function borders(inside, [, rows, columns]) {
    const next = new Map();
    const corner = (y, x) => y * (columns + 1) + x;
    const add = (from, to) => { if (next.has(from)) next.get(from).push(to); else next.set(from, [to]); };
    const at = (y, x) => y >= 0 && x >= 0 && y < rows && x < columns && inside(y * columns + x);
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        if (!at(y, x)) continue;
        if (!at(y - 1, x)) add(corner(y, x), corner(y, x + 1));
        if (!at(y, x + 1)) add(corner(y, x + 1), corner(y + 1, x + 1));
        if (!at(y + 1, x)) add(corner(y + 1, x + 1), corner(y + 1, x));
        if (!at(y, x - 1)) add(corner(y + 1, x), corner(y, x));
      }
    }
    return next;
  }

  // Closed lines around a mask, so that dashes run along them.
  function contour(inside, shape, sx, sy) {
    const next = borders(inside, shape);
    const path = new Path2D();
    const wide = shape[2] + 1;
    const place = (k) => [(k % wide) * sx, Math.floor(k / wide) * sy];
    for (const start of next.keys()) {
      while (next.get(start).length) {
        path.moveTo(...place(start));
        let here = next.get(start).pop();
        while (here !== start) {
          path.lineTo(...place(here));
          here = next.get(here).pop();
        }
        path.closePath();
      }
    }
    return path;
  }

  // A line on a dark casing stands out on every colour.
  function outline(context, path, { colour: stroke, dash }, ratio) {
    context.setLineDash([]);
    context.lineJoin = "round";
    context.lineWidth = 3.5 * ratio;
    context.strokeStyle = CASING;
    context.stroke(path);
    context.setLineDash(dash.map((part) => part * ratio));
    context.lineWidth = 1.6 * ratio;
    context.strokeStyle = stroke;
    context.stroke(path);
  }

  const small = document.createElement("canvas");

  function draw(canvas, shape, aspect, { image, value, reference, mask }) {
    const [, rows, columns] = shape;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.width = width;
    canvas.height = Math.max(1, Math.round((width * rows * aspect) / columns));
    small.width = columns;
    small.height = rows;
    small.getContext("2d").putImageData(pixels(image, shape, value), 0, 0);
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = true;
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
    const [sx, sy] = [canvas.width / columns, canvas.height / rows];
    if (reference) outline(context, contour(reference, shape, sx, sy), REFERENCE, ratio);
    if (mask) outline(context, contour(mask, shape, sx, sy), MASK, ratio);
  }

  return { bar, draw };
})();
