// Keeps the result page's numbers up to date by server-sent events. Without it the page reloads itself.
"use strict";

const RECONNECT_AFTER_MS = 3000;
const AWAY = "The store does not answer. These are the last known votes.";
const LOST = "The connection is lost. Trying again.";

const element = (id) => document.getElementById(id);
const votes = (count) => (count === 0 ? "No votes yet" : count === 1 ? "1 vote" : `${count} votes`);

function setText(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

// The same rounding as the server's: to tenths of a percent, and the two sum to 100.
function show({ a, b }) {
  const total = a + b;
  const tenths = total === 0 ? 500 : Math.floor((a * 1000 + Math.floor(total / 2)) / total);
  const shares = { a: (tenths / 10).toFixed(1), b: ((1000 - tenths) / 10).toFixed(1) };
  element("background-stats-1").style.width = `${shares.a}%`;
  element("background-stats-2").style.width = `${shares.b}%`;
  for (const [option, count] of [["a", a], ["b", b]]) {
    setText(`percent-${option}`, total === 0 ? "–" : `${shares[option]}%`);
    setText(`count-${option}`, total === 0 ? "" : votes(count).replace("No votes yet", "0 votes"));
  }
  setText("result", votes(total));
}

function follow() {
  const events = new EventSource("/events");
  events.addEventListener("scores", (event) => show(JSON.parse(event.data)));
  events.addEventListener("store", (event) => setText("notice", JSON.parse(event.data).ready ? "" : AWAY));
  events.addEventListener("error", () => {
    setText("notice", LOST);
    // The browser reconnects by itself, but not after an answer such as 503.
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, RECONNECT_AFTER_MS);
  });
}

follow();
