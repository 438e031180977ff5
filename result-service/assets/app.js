// Keeps the result page up to date by server-sent events. Without it the page is as it was when it was loaded.
//
// The same file is the page's script and, where browsers have shared workers, the worker that follows the events for
// all tabs of a browser: it opens six connections to a host, and with a stream for each tab the seventh never loads.
"use strict";

// After an answer such as 503; after a lost connection the server says how long a browser waits.
const RECONNECT_AFTER_MS = 3000;
// Two and a half of the server's heartbeats: a connection that is silent for so long is lost.
const SILENCE_MS_MAX = 40000;
const LOOK_FOR_SILENCE_EVERY_MS = 2000;
// Tabs from before and after a change of what they say to one another must not meet in one worker.
const WORKER = "events 1";
const away = (keeper = "store") => `The ${keeper} does not answer. These are the last known votes.`;

// Follows the events, and tells of each its kind and data; and in "state" whether they come. Returns how to end it.
function follow(url, tell) {
  let events, heard, retry, state;
  // The first goes on while the machine sleeps, and the second when somebody sets the first back.
  const clocks = () => [Date.now(), performance.now()];
  const setState = (next) => {
    if (next !== state) tell("state", (state = next));
  };
  const hear = (kind) => (event) => {
    heard = clocks();
    setState("live");
    if (kind) tell(kind, event.data);
  };
  function connect() {
    clearTimeout(retry);
    events?.close();
    heard = clocks();
    const stream = (events = new EventSource(url));
    for (const kind of ["open", "alive"]) stream.addEventListener(kind, hear());
    for (const kind of ["scores", "store", "chart"]) stream.addEventListener(kind, hear(kind));
    stream.addEventListener("error", () => {
      setState("reconnecting");
      // The browser reconnects by itself, but not after an answer that is no stream.
      if (stream.readyState === EventSource.CLOSED) retry = setTimeout(connect, RECONNECT_AFTER_MS);
    });
  }
  function lose() {
    setState("reconnecting");
    connect();
  }
  function look() {
    const now = clocks();
    if (heard.some((at, index) => now[index] - at > SILENCE_MS_MAX)) lose();
  }
  const looking = setInterval(look, LOOK_FOR_SILENCE_EVERY_MS);
  addEventListener("online", lose);
  setState("connecting");
  connect();
  return () => {
    clearInterval(looking);
    clearTimeout(retry);
    removeEventListener("online", lose);
    events.close();
  };
}

// The worker: one stream, and what came last by it for tabs that come later.
function serveTabs() {
  const tabs = new Set();
  const last = new Map();
  const tell = (kind, data) => {
    const message = [kind, kind === "state" ? { name: data, since: Date.now() } : data];
    last.set(kind, message);
    for (const tab of tabs) tab.postMessage(message);
  };
  onconnect = ({ ports: [tab] }) => {
    tabs.add(tab);
    // All that a tab ever says is that it goes.
    tab.onmessage = () => tabs.delete(tab);
    const state = last.get("state");
    // What a tab was loaded with is newer than what came before the stream was lost.
    for (const message of state[1].name === "live" ? last.values() : [state]) tab.postMessage(message);
  };
  follow(new URL("../events", location), tell);
}

// The page.
function showEvents(script) {
  const element = (id) => document.getElementById(id);
  const votes = (count) => (count === 0 ? "No votes yet" : count === 1 ? "1 vote" : `${count} votes`);

  function setText(id, text) {
    if (element(id).textContent !== text) element(id).textContent = text;
  }

  // The same rounding as the server's: to tenths of a percent, and the two sum to 100.
  function showScores({ a, b }) {
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

  function showState({ name, since }) {
    const time = name === "reconnecting" ? ` since ${new Date(since).toTimeString().slice(0, 8)}` : "";
    element("connection").dataset.state = name;
    setText("connection", name[0].toUpperCase() + name.slice(1) + time);
  }

  const show = {
    state: showState,
    scores: (data) => showScores(JSON.parse(data)),
    store: (data) => {
      const { ready, keeper } = JSON.parse(data);
      setText("notice", ready ? "" : away(keeper));
    },
    chart: (data) => (element("chart").innerHTML = data),
  };

  // By the worker. A tab that is put aside for its reader to come back to joins again when that happens.
  function followTogether() {
    const worker = new SharedWorker(script, WORKER);
    const { port } = worker;
    worker.onerror = followAlone;
    port.onmessage = ({ data: [kind, data] }) => show[kind](data);
    addEventListener("pagehide", () => port.postMessage("bye"), { once: true });
    addEventListener("pageshow", ({ persisted }) => persisted && followTogether(), { once: true });
  }

  // By a stream of its own, as long as somebody looks.
  function followAlone() {
    let end;
    const tell = (kind, data) => show[kind](kind === "state" ? { name: data, since: Date.now() } : data);
    const look = () => {
      if (!document.hidden) return (end ??= follow(new URL("../events", script), tell));
      end?.();
      end = undefined;
    };
    document.addEventListener("visibilitychange", look);
    look();
  }

  showState({ name: "connecting" });
  try {
    followTogether();
  } catch {
    followAlone();
  }
}

if (typeof document === "undefined") serveTabs();
else showEvents(document.currentScript.src);
