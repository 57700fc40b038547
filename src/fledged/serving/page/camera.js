// A viewfinder, a button, a photo.

const $ = (id) => document.getElementById(id);

/** Opens the viewfinder; rejects if there is no camera or it may not be used. */
export async function photograph() {
  const video = { facingMode: "environment", width: { ideal: 1280 } };
  $("video").srcObject = await navigator.mediaDevices.getUserMedia({ video });
  $("viewfinder").showModal();
}

/** Hands every photo that is taken to `take`, as a file. */
export function onPhotograph(take) {
  $("shoot").addEventListener("click", () => shoot(take));
  $("close").addEventListener("click", () => $("viewfinder").close());
  $("viewfinder").addEventListener("close", turnOff);
}

function shoot(take) {
  const video = $("video");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  if (!canvas.width) return; // the camera has not delivered its first picture yet
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => take(new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.95);
  $("viewfinder").close();
}

function turnOff() {
  for (const track of $("video").srcObject?.getTracks() ?? []) track.stop();
  $("video").srcObject = null;
}
