// The switch that shows beside each card why it came: in the words of the service, where the simulator knows whom to ask,
// else by what the simulator sees itself.

import { byId, make, milliseconds } from "./dom.js";

const isOn = () => byId("why").checked;

/** Tells where the switch is turned. */
export function onSwitch(turned) {
  byId("why").addEventListener("change", turned);
}

/** What stands below the card; nothing while the switch is off. */
export function why(card) {
  if (!isOn()) return null;
  const element = make("section", "why", null, make("h4", "", "Why this card"), make("p", "", "asking …"));
  element.setAttribute("aria-label", "Why this card");
  explain(card).then((parts) => element.replaceChildren(element.firstChild, ...parts));
  return element;
}

async function explain(card) {
  if (!card.decision) return seen(card, "The push carries no decision's id as its Idempotency-Key.");
  try {
    const answer = await fetch(`/_sim/why?decision=${encodeURIComponent(card.decision)}`);
    const told = await answer.json();
    return told.why ? explained(told) : seen(card, told.missing ?? told.message);
  } catch {
    return seen(card, "The simulator does not answer.");
  }
}

function list(sentences) {
  const items = make("ul", "");
  for (const sentence of sentences) items.append(make("li", "", sentence));
  return items;
}

function explained({ why: sentences, stages, latency_ms: latency }) {
  const times = stages.map(({ stage, took_ms: took }) => `${stage} ${took.toFixed(1)} ms`).join(", ");
  return [list(sentences), make("p", "times", `${times}; ${milliseconds(latency)} from the last word to CXone's answer.`)];
}

function seen(card, missing) {
  const [best, next] = card.suggestions;
  const sentences = [];
  if (best?.score != null) {
    const ahead = next?.score != null ? `, ${(best.score - next.score).toFixed(3)} ahead of the next` : "";
    sentences.push(`The first suggestion has a score of ${Number(best.score).toFixed(3)}${ahead}.`);
  }
  if (card.turn !== null) sentences.push(`It came ${milliseconds(card.after_ms)} after customer turn ${card.turn} ended.`);
  return [list(sentences), make("p", "times", missing)];
}
