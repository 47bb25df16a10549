"use strict";
// A click on a span goes to it in the player of its section.
document.addEventListener("click", (event) => {
  const span = event.target.closest("[data-start]");
  const video = span && span.closest("section").querySelector("video");
  if (!video) return;
  video.currentTime = Number(span.dataset.start);
  video.play().catch(() => {});
});
// Where the player is: a line on the time line, a frame around the spans that are shown.
for (const section of document.querySelectorAll("section")) {
  const video = section.querySelector("video");
  const line = section.querySelector(".timeline");
  if (!video || !line) continue;
  const head = line.querySelector(".head");
  const from = Number(line.dataset.from), length = Number(line.dataset.to) - from;
  const spans = section.querySelectorAll("[data-start]");
  video.addEventListener("timeupdate", () => {
    const now = video.currentTime;
    head.style.left = 100 * Math.min(1, Math.max(0, (now - from) / length)) + "%";
    for (const span of spans) {
      span.classList.toggle("on", Number(span.dataset.start) <= now && now < Number(span.dataset.end));
    }
  });
}
