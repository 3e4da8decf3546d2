// What shadow mode would have shown: cards that were held back, and a second ranker's beside those that were shown.

import { byId, make } from "./dom.js";
import { get } from "./admin.js";
import { entry } from "./decisions.js";

const WORDS = { same: "the same card", both_silent: "both silent", different: "another card", only_shadow: "a card instead of silence", only_live: "silence instead of a card" };

export function showShadowCounts({ flow, profiles }) {
  const isWatched = profiles.some((profile) => profile.has_shadow);
  const pushesAll = profiles.every((profile) => profile.pushes);
  const notes = [isWatched ? "" : "No profile watches a second ranker (its shadow is not set).", pushesAll ? "Every profile pushes its cards." : ""];
  byId("shadow-told").dataset.setup = notes.filter(Boolean).join(" ");
  const counts = isWatched ? flow.shadows : [];
  byId("shadow-counts").replaceChildren(...counts.map(({ name, count }) => make("li", "", null, make("b", "", count), ` ${WORDS[name] ?? name}`)));
}

const shown = ({ cards, silence }) => cards[0] ?? `silent: ${silence ?? "no ranking"}`;

function line(decision) {
  const { live, shadow } = decision;
  const would = shadow ? `the second ranker: ${shown(shadow)}` : `would have shown: ${shown(live)}`;
  return entry(decision, make("small", "", would));
}

export async function showShadow() {
  const told = byId("shadow-told");
  told.textContent = "looking …";
  try {
    const { looked_through: looked, decisions } = await get("shadow");
    told.textContent = `${decisions.length} of the newest ${looked} decisions were held back or would have been others. ${told.dataset.setup ?? ""}`;
    byId("shadowed").replaceChildren(...decisions.map(line));
  } catch (error) {
    told.textContent = error.message;
  }
}
