// Figures in words.

export function percent(share) {
  if (share > 0.999 && share < 1) return ">99.9%";
  if (share < 0.001 && share > 0) return "<0.1%";
  return `${(share * 100).toFixed(1)}%`;
}

export function megabytes(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1000))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export function milliseconds(seconds) {
  return seconds < 0.0095 ? `${(seconds * 1000).toFixed(1)} ms` : `${Math.round(seconds * 1000)} ms`;
}

export function question(classes) {
  const short = classes.length <= 4 && classes.join("").length <= 36;
  if (!short || classes.length < 2) return `Which of ${classes.length} classes is it?`;
  const list = `${classes.slice(0, -1).join(", ")} or ${classes.at(-1)}?`;
  return list.charAt(0).toUpperCase() + list.slice(1);
}
