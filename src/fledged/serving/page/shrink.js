// Photos that are larger than the server takes, made smaller here.

const QUALITY = 0.92;
const LONGEST = 2560; // pixels, to begin with
const SPARE = 1.25; // times what the model looks at, which the shorter side keeps at least
const FORM_BYTES = 2048; // what a form adds to its photo

export const fits = (file, maxBytes) => file.size + FORM_BYTES <= maxBytes;

/** A JPEG of at most `maxBytes` and from what size to what it came, or null where this browser cannot make one. */
export async function shrink(file, maxBytes, sizePx) {
  let picture;
  try {
    picture = await createImageBitmap(file); // upright, whatever its EXIF says
  } catch {
    return null;
  }
  try {
    const { width, height } = picture;
    const least = Math.min(1, (SPARE * sizePx) / Math.min(width, height));
    for (let scale = Math.min(1, LONGEST / Math.max(width, height)); ; scale = Math.max(least, scale * 0.7)) {
      const canvas = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
      const pen = canvas.getContext("2d");
      pen.fillStyle = "#fff"; // as the server does with what is transparent
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.imageSmoothingQuality = "high";
      pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
      const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
      if (fits(blob, maxBytes)) {
        const photo = new File([blob], file.name, { type: "image/jpeg" });
        return { photo, from: [width, height], to: [canvas.width, canvas.height] };
      }
      if (scale <= least) return null;
    }
  } catch {
    return null; // more pixels than this browser can hold
  } finally {
    picture.close();
  }
}
