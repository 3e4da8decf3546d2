// The latest decisions, newest first, each with why when it is opened.

import { byId, make, milliseconds } from "./dom.js";
import { get } from "./admin.js";
import { explained } from "./why.js";

/** Shown at most; older ones are found by their id. */
const MAX_SHOWN = 100;
const LOOKS = { delivered: "good", silent: "", withheld: "warn", expired: "warn", replaced: "", shed: "bad", refused: "bad", failed: "bad" };
const WORDS = {
  nothing_found: "nothing was found", not_asked: "no card was asked for", unsure: "no article answers well enough",
  already_shown: "it stands on the screen already", rejected: "the agent rejected it a short while ago",
};

/** Decisions that were counted when the last event came. */
let counted = 0;
/** What came while the list stood still. */
let held = [];

export function query() {
  const asked = { after: counted, outcome: byId("of-outcome").value, profile: byId("of-profile").value };
  return new URLSearchParams(Object.entries(asked).filter(([, value]) => value !== "")).toString();
}

export function showDecisions({ counted: now, decisions }) {
  counted = now;
  held = [...decisions, ...held].slice(0, MAX_SHOWN);
  if (byId("live").checked) release();
}

function release() {
  const list = byId("list");
  if (held.length) list.querySelector(".nothing")?.remove();
  for (const decision of held.reverse()) list.prepend(entry(decision));
  held = [];
  while (list.childElementCount > MAX_SHOWN) list.lastElementChild.remove();
}

export const timeOf = (at) => new Date(at).toLocaleTimeString([], { hour12: false });

/** What it came to, in a line: the card that the agent saw, or why there was none. */
function what({ outcome, silence, ending, live }) {
  if (outcome === "delivered") return live.cards[0] ?? ending;
  if (outcome === "silent") return WORDS[silence] ?? silence;
  return ending;
}

/** A line that opens. */
export function entry(decision, ...below) {
  const { id, at, outcome, interaction, profile, utterance, latency_ms: latency } = decision;
  const about = make("span", "what", what(decision));
  const chosen = decision.live.cards[0];
  if (chosen && outcome !== "delivered") about.append(make("small", "", `chosen: ${chosen}`));
  about.append(make("small", "", `${interaction} · utterance ${utterance} · ${profile}`), ...below);
  const summary = make("summary", "", null, make("span", "at", timeOf(at)), make("span", `chip ${LOOKS[outcome] ?? ""}`, outcome), about,
    make("span", "took", latency ? milliseconds(latency) : ""));
  return opens(id, summary, "entry");
}

/** What tells all of a decision when it is opened. */
export function opens(id, summary, className) {
  const inside = make("div", "inside", "asking …");
  const element = make("details", className, null, summary, inside);
  element.addEventListener("toggle", () => fill(id, inside), { once: true });
  return element;
}

async function fill(id, inside) {
  try {
    inside.replaceChildren(...explained(await get(`../explain/${id}`)));
  } catch (error) {
    inside.textContent = error.message;
  }
}

/** Asks `again` for other decisions when the filters change. */
export function startDecisions(outcomes, again) {
  for (const name of outcomes) {
    const option = make("option", "", name);
    option.value = name;
    byId("of-outcome").append(option);
  }
  const anew = () => {
    counted = 0;
    held = [];
    byId("list").replaceChildren(make("p", "nothing", "Nothing like that is among the newest."));
    again();
  };
  byId("of-outcome").addEventListener("change", anew);
  byId("of-profile").addEventListener("change", anew);
  byId("live").addEventListener("change", () => byId("live").checked && release());
}

export const OUTCOMES = Object.keys(LOOKS);
