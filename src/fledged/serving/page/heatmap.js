// Where the network found what speaks for its answer, drawn over the photo as the network saw it.

const LONGEST = 720; // pixels of the drawing
const GRID = 96; // points along a side of the square that are coloured one by one

/** Draws `rows` (0..1) onto `canvas`, which is given the shape of `image`; what the network did not see is darkened. */
export function drawHeatmap(canvas, image, rows, preprocess) {
  const { naturalWidth: width, naturalHeight: height } = image;
  const scale = Math.min(1, LONGEST / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const [left, top, right, bottom] = seenBox(width, height, preprocess).map((edge) => edge * scale);
  const pen = canvas.getContext("2d");
  pen.fillStyle = "rgb(0 0 0 / 55%)";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.clearRect(left, top, right - left, bottom - top);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(coloured(rows), left, top, right - left, bottom - top);
}

/** Left, top, right and bottom, in the photo's pixels, of what the network is shown; with "pad" more than the photo. */
export function seenBox(width, height, { resize, crop_fraction: share }) {
  if (resize === "squash") return [0, 0, width, height];
  const edge = resize === "pad" ? Math.max(width, height) : Math.min(width, height) * share;
  return [(width - edge) / 2, (height - edge) / 2, (width + edge) / 2, (height + edge) / 2];
}

function coloured(rows) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = GRID;
  const pen = canvas.getContext("2d");
  const pixels = pen.createImageData(GRID, GRID);
  for (let y = 0; y < GRID; y += 1) {
    for (let x = 0; x < GRID; x += 1) {
      const warmth = between(rows, (x + 0.5) / GRID, (y + 0.5) / GRID);
      pixels.data.set(colour(warmth), 4 * (y * GRID + x));
    }
  }
  pen.putImageData(pixels, 0, 0);
  return canvas;
}

/** The value at a place (0..1 each way), between the middles of the cells around it. */
function between(rows, x, y) {
  const [row, down] = cell(y, rows.length);
  const [column, along] = cell(x, rows[0].length);
  const at = (r, c) => rows[Math.min(r, rows.length - 1)][Math.min(c, rows[0].length - 1)];
  const above = at(row, column) * (1 - along) + at(row, column + 1) * along;
  const below = at(row + 1, column) * (1 - along) + at(row + 1, column + 1) * along;
  return above * (1 - down) + below * down;
}

function cell(place, n) {
  const exact = Math.min(Math.max(place * n - 0.5, 0), n - 1);
  return [Math.floor(exact), exact % 1];
}

/** Nothing where it is cold, then yellow, then red: red, green, blue and how much it covers, 0..255. */
function colour(warmth) {
  const w = Math.min(Math.max(warmth, 0), 1);
  return [255, Math.round(225 - 195 * w), Math.round(60 - 30 * w), Math.round(225 * w ** 0.8)];
}
