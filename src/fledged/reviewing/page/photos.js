// Pictures of photos: the small one at once, the large one when it is there, the reason where there is none.

import { fileName } from "./words.js";

const KEPT = 24;
const fetched = new Map(); // photo -> Image, the latest last

export const address = (photo, size) => `photo/${photo.row}?size=${size}`;

export function prefetch(photo) {
  if (photo.error) return null;
  const image = fetched.get(photo.row) ?? new Image();
  fetched.delete(photo.row);
  fetched.set(photo.row, image);
  if (!image.src) image.src = address(photo, "large");
  if (fetched.size > KEPT) fetched.delete(fetched.keys().next().value);
  return image;
}

// A frame with the photo in it; `size` "large" shows the thumbnail until the large one has come.
export function picture(photo, size = "thumb") {
  const frame = document.createElement("div");
  frame.className = "frame";
  if (photo.error) {
    blank(frame, photo.error);
    return frame;
  }
  const image = document.createElement("img");
  image.alt = fileName(photo);
  image.decoding = "async";
  image.draggable = false;
  if (size === "thumb") image.loading = "lazy";
  image.width = photo.width_px;
  image.height = photo.height_px;
  image.addEventListener("error", () => why(photo, size).then((reason) => blank(frame, reason)), { once: true });
  const large = size === "large" ? prefetch(photo) : null;
  const isThere = large?.complete && large.naturalWidth > 0;
  image.src = address(photo, isThere ? "large" : "thumb");
  if (large && !isThere) {
    large.decode().then(() => { image.src = large.src; }, () => {}); // the thumbnail's own error says why
  }
  frame.append(image);
  return frame;
}

async function why(photo, size) {
  try {
    return (await (await fetch(address(photo, size))).json()).error;
  } catch {
    return "the server does not answer";
  }
}

function blank(frame, reason) {
  const words = document.createElement("p");
  words.className = "blank";
  words.textContent = `Cannot be shown: ${reason}`;
  const image = frame.querySelector("img");
  if (image) image.replaceWith(words); // what else stands in the frame, such as the decision's stamp, stays
  else frame.append(words);
}
