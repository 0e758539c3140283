// The console works without this file; it adds live figures, copying and filtering while typing.
"use strict";

// Figures that bring themselves up to date: <div data-live="/live/overview">. Nothing is asked while
// the page is hidden, paused, or somebody is inside with the keyboard.
const LIVE_EVERY_MS = 5000;
for (const place of document.querySelectorAll("[data-live]")) {
  const button = document.querySelector("[data-live-switch]");
  const tell = document.querySelector("[data-live-state]");
  let paused = false;
  const say = (text) => { if (tell && tell.textContent !== text) tell.textContent = text; };
  if (button) {
    button.hidden = false;
    button.addEventListener("click", () => {
      paused = !paused;
      button.textContent = paused ? "Resume updates" : "Pause updates";
      say(paused ? "Updates are paused" : "Live");
    });
  }
  const turn = async () => {
    if (!paused && !document.hidden && !place.contains(document.activeElement)) {
      try {
        const answer = await fetch(place.dataset.live, { headers: { accept: "application/json" } });
        if (answer.status === 401) { location.assign("/login"); return; }
        if (!answer.ok) throw new Error(String(answer.status));
        const { html } = await answer.json();
        if (!paused && !place.contains(document.activeElement)) {
          place.innerHTML = html;
          say("Live");
        }
      } catch {
        say("The gateway does not answer; trying again");
      }
    }
    setTimeout(turn, LIVE_EVERY_MS);
  };
  setTimeout(turn, LIVE_EVERY_MS);
}

// Copying: <button data-copy="id of the text">.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy)?.textContent ?? "";
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select the text and copy it";
    }
  });
}

// Filtering while typing: <input data-filter="id of the list">.
for (const input of document.querySelectorAll("[data-filter]")) {
  const list = document.getElementById(input.dataset.filter);
  const nothing = document.getElementById(`${input.dataset.filter}-none`);
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of list.children) {
      const text = item.textContent.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
      if (!item.hidden) shown += 1;
    }
    if (nothing) nothing.hidden = shown > 0;
  };
  input.addEventListener("input", apply);
}

// The page that signs out or loses its session must not come back from the browser's memory.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
