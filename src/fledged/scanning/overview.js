"use strict";
// The height-and-width charts: points on a canvas, and the photo of the point that is pointed at.
const data = JSON.parse(document.getElementById("points").textContent);
const withPhoto = Object.keys(data.photo).map(Number).sort((a, b) => data.width[a] * data.height[a] - data.width[b] * data.height[b]);
const share = (px) => (Math.log(px) - data.low) / (data.high - data.low);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const charts = [...document.querySelectorAll(".scatter")].map(chart);

function chart(figure) {
  const canvas = figure.querySelector("canvas");
  const tip = figure.querySelector(".tip");
  let label = Number(canvas.dataset.label); // -1: all classes
  let at = -1; // the point that is pointed at
  const mine = (i) => label < 0 || data.label[i] === label;
  const x = (i) => share(data.width[i]) * canvas.clientWidth;
  const y = (i) => (1 - share(data.height[i])) * canvas.clientHeight;

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.strokeStyle = colour("--line");
    pen.beginPath();
    pen.moveTo(0, canvas.clientHeight);
    pen.lineTo(canvas.clientWidth, 0);
    pen.stroke();
    dots(pen, colour("--soft"), 0.18, 1.5, (i) => !mine(i));
    dots(pen, colour("--right"), 0.35, 2.5, (i) => mine(i) && !(i in data.photo));
    dots(pen, colour("--right"), 0.9, 3, (i) => mine(i) && i in data.photo);
    if (at >= 0) {
      pen.globalAlpha = 1;
      pen.strokeStyle = colour("--wrong");
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(x(at), y(at), 6, 0, 7);
      pen.stroke();
    }
  }

  function dots(pen, fill, alpha, radius, which) {
    pen.fillStyle = fill;
    pen.globalAlpha = alpha;
    for (let i = 0; i < data.width.length; i++) {
      if (!which(i)) continue;
      pen.beginPath();
      pen.arc(x(i), y(i), radius, 0, 7);
      pen.fill();
    }
  }

  function show(i) {
    at = i;
    tip.hidden = i < 0;
    if (i >= 0) {
      const image = tip.querySelector("img");
      const standing = document.querySelector(`img[data-point="${i}"]`);
      const source = data.photo[i] || (i in data.photo && standing ? standing.src : "");
      image.hidden = !source;
      if (source) image.src = source;
      tip.querySelector("b").textContent = data.name[i];
      tip.querySelector("span").textContent = `${data.width[i]} × ${data.height[i]} px, ${data.size[i]}`;
      tip.classList.toggle("left", x(i) > canvas.clientWidth / 2);
      tip.classList.toggle("above", y(i) > canvas.clientHeight / 2);
      tip.style.left = `${x(i)}px`;
      tip.style.top = `${y(i)}px`;
    }
    draw();
  }

  function nearest(event) {
    const box = canvas.getBoundingClientRect();
    let best = -1;
    let distance = 24;
    for (let i = 0; i < data.width.length; i++) {
      if (!mine(i)) continue;
      // A point with a photo wins over one without that is hardly nearer.
      const away = Math.hypot(x(i) - event.clientX + box.left, y(i) - event.clientY + box.top) + (i in data.photo ? 0 : 12);
      if (away < distance) [best, distance] = [i, away];
    }
    if (best !== at) show(best);
  }

  canvas.addEventListener("pointermove", nearest);
  canvas.addEventListener("pointerdown", nearest);
  canvas.addEventListener("pointerleave", () => show(-1));
  canvas.addEventListener("blur", () => show(-1));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    const own = withPhoto.filter(mine);
    if (event.key === "Escape") show(-1);
    else if (step && own.length) show(own[(own.indexOf(at) + step + own.length + (at < 0 && step < 0)) % own.length]);
    else return;
    event.preventDefault();
  });
  figure.querySelector("select")?.addEventListener("change", (event) => {
    label = Number(event.target.value);
    show(-1);
  });
  draw();
  return draw;
}

const redraw = () => charts.forEach((draw) => draw());
addEventListener("resize", redraw);
addEventListener("beforeprint", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
