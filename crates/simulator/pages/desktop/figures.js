// The numbers above the conversation.

import { byId, milliseconds } from "./dom.js";
import { interactions } from "./conversations.js";
import { OVER_HTTP } from "./card.js";

/** Streams that are open. */
let streams = 0;

export function showCounts(counts) {
  streams = counts.streams;
  showLink();
  for (const name of ["turns", "cards", "duplicates", "violations"]) byId(name).textContent = counts[name];
  for (const name of ["duplicates", "violations"]) byId(`${name}-box`).classList.toggle("bad", counts[name] > 0);
}

/** A client that was only ever asked over HTTP lacks no stream. */
export function showLink() {
  const isAsked = () => [...interactions.values()].some(({ cards }) => cards.some(({ dialect }) => dialect in OVER_HTTP));
  const asked = streams === 0 && isAsked();
  byId("link").textContent = asked ? "over HTTP" : streams > 0 ? "connected" : "not connected";
  byId("link").title = asked ? "no stream: rag, graph and ranking need none" : "";
  byId("link").className = asked || streams > 0 ? "link good" : "link";
}

export function showGone() {
  byId("link").textContent = "simulator gone";
  byId("link").className = "link bad";
}

export function showMedian() {
  const times = [];
  for (const { cards } of interactions.values()) {
    for (const card of cards) if (card.after_ms !== null) times.push(card.after_ms);
  }
  times.sort((left, right) => left - right);
  byId("median").textContent = times.length ? milliseconds(times[Math.floor((times.length - 1) / 2)]) : "–";
}
