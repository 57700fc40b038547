// Findings and photos in words. A kind that is not known here is told by its name and figures.

const px = (score) => `${number(score)} px`;

const KINDS = {
  unreadable: ["Cannot be read", (f, photo) => sentence(photo.error)],
  zero_byte: ["Empty file", () => "Not a single byte in it: a copy or a download that never came."],
  vector: ["A drawing, not a photo", () => "A vector drawing (SVG, PDF or PostScript)."],
  graphic: ["A graphic, not a photo", (f) => `A placeholder, icon or advertisement by its looks${figures(f)}.`],
  animated: ["Animated", (f) => `${number(f.score)} frames, of which only the first is used.`],
  tiny: ["Tiny", (f) => `${px(f.score)} on its shorter side; below ${px(f.threshold)} is a finding.`],
  huge: ["Huge", (f) => `Far larger than the others${figures(f)}.`],
  odd_aspect: ["Odd shape", (f) => `${number(f.score)} times as long as wide; above ${number(f.threshold)} is a finding.`],
  dark: ["Dark", (f) => `Brightness ${number(f.score)} of 1; below ${number(f.threshold)} is a finding.`],
  bright: ["Bright", (f) => `Brightness ${number(f.score)} of 1; above ${number(f.threshold)} is a finding.`],
  blurry: ["Blurry", (f) => `Hardly a sharp edge in it${figures(f)}.`],
  low_information: ["Hardly anything on it", (f) => `Little detail${figures(f)}.`],
  exact_duplicate: ["The same file twice", () => "Equal, byte by byte."],
  near_duplicate: ["The same picture twice", (f) => `Re-encoded, resized, edited or the next frame${figures(f)}.`],
  label_conflict: ["The same picture, two labels", () => "At most one of the labels is right."],
  outlier: ["Unlike its class", (f) => `Far from the other photos of its class${figures(f)}.`],
  feedback: [
    "Feedback",
    (f, photo) => `Somebody who used the model says ${photo.label}${f.suggested ? `; it had answered ${f.suggested}` : ""}. ` +
      "No training uses it before you keep or relabel it.",
  ],
  likely_mislabel: [
    "Probably mislabelled",
    (f, photo) => `A model that never saw it takes it for ${f.suggested ?? "another class"}, not ${photo.label}${figures(f)}.`,
  ],
  cluster: ["In a cluster to drop", (f) => `Its group was named to be dropped${figures(f)}.`],
  gps: ["Says where it was taken", () => "Its file holds the place of the shot. Copies made for training never do."],
};

export function title(kind) {
  return KINDS[kind]?.[0] ?? sentence(kind.replaceAll("_", " ")).replace(/\.$/, "");
}

export function reason(finding, photo) {
  const words = KINDS[finding.kind]?.[1];
  if (words) return words(finding, photo);
  return finding.score === null ? "" : `Score ${number(finding.score)}${limit(finding)}.`;
}

function figures(finding) {
  return finding.score === null ? "" : ` (score ${number(finding.score)}${limit(finding)})`;
}

function limit(finding) {
  return finding.threshold === null ? "" : `, limit ${number(finding.threshold)}`;
}

function sentence(text) {
  const words = (text ?? "").trim();
  return words && `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;
}

export function number(value) {
  return value === null ? "?" : Number(value.toPrecision(value >= 100 ? 6 : 3)).toLocaleString("en", { maximumFractionDigits: 3 });
}

export function bytes(n) {
  if (n < 1000) return `${n} bytes`;
  return n < 1e6 ? `${Math.round(n / 1000)} kB` : `${(n / 1e6).toFixed(1)} MB`;
}

export function pixels(photo) {
  return photo.width_px ? `${photo.width_px} × ${photo.height_px}` : "unknown";
}

export function fileName(photo) {
  return photo.path.slice(photo.path.lastIndexOf("/") + 1);
}

export function done(decision) {
  if (!decision) return "Undecided";
  return { keep: "Kept", drop: "Dropped", relabel: `Now ${decision.label}` }[decision.action];
}

export function some(n, one, many = `${one}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}
