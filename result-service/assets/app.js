// Keeps the result page up to date by server-sent events. Without it the page is as it was when it was loaded.
"use strict";

// After an answer such as 503; after a lost connection the server says how long a browser waits.
const RECONNECT_AFTER_MS = 3000;
// Two and a half of the server's heartbeats: a connection that is silent for so long is lost.
const SILENCE_MS_MAX = 40000;
const away = (keeper = "store") => `The ${keeper} does not answer. These are the last known votes.`;

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
  element("background-stats").classList.toggle("empty", total === 0);
  element("background-stats-1").style.width = `${shares.a}%`;
  element("background-stats-2").style.width = `${shares.b}%`;
  for (const [option, count] of [["a", a], ["b", b]]) {
    setText(`percent-${option}`, total === 0 ? "–" : `${shares[option]}%`);
    setText(`count-${option}`, total === 0 ? "" : votes(count).replace("No votes yet", "0 votes"));
  }
  setText("result", votes(total));
}

// "connecting", "live", or "reconnecting" with the time since when.
let state;

function setState(next) {
  if (next === state) return;
  state = next;
  const since = state === "reconnecting" ? ` since ${new Date().toTimeString().slice(0, 8)}` : "";
  element("connection").dataset.state = state;
  setText("connection", state[0].toUpperCase() + state.slice(1) + since);
}

function follow() {
  const events = new EventSource("/events");
  const retry = (after_ms) => {
    clearTimeout(silence);
    setState("reconnecting");
    events.close();
    setTimeout(follow, after_ms);
  };
  let silence = setTimeout(retry, SILENCE_MS_MAX, 0);
  const hear = (act) => (event) => {
    clearTimeout(silence);
    silence = setTimeout(retry, SILENCE_MS_MAX, 0);
    setState("live");
    act(event.data);
  };
  events.addEventListener("open", hear(() => {}));
  events.addEventListener("alive", hear(() => {}));
  events.addEventListener("scores", hear((data) => show(JSON.parse(data))));
  events.addEventListener("store", hear((data) => {
    const { ready, keeper } = JSON.parse(data);
    setText("notice", ready ? "" : away(keeper));
  }));
  events.addEventListener("chart", hear((data) => (element("chart").innerHTML = data)));
  events.addEventListener("error", () => {
    setState("reconnecting");
    // The browser reconnects by itself, but not after an answer that is no stream.
    if (events.readyState === EventSource.CLOSED) retry(RECONNECT_AFTER_MS);
  });
}

setState("connecting");
follow();
