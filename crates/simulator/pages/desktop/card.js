// One push as a card: its best suggestion, the others behind a fold, and what the agent may do with each.

import { citation, make, milliseconds } from "./dom.js";
import { actions } from "./verdict.js";
import { findTitle, whole } from "./article.js";
import { why } from "./why.js";

/** Contracts that no stream belongs to, and what stands where a conversation would. */
export const OVER_HTTP = {
  rag: "Asked over HTTP. The push carries the passages, and not what was asked.",
  graph: "Asked over HTTP. The push carries the articles, and not what was asked.",
  ranking: "Snippets given over HTTP. The push carries their order, and not what was said.",
};

export function cardElement(interaction, card) {
  // The passages of contract 000 are one context; of suggestions one is the best.
  const isContext = card.dialect === "rag";
  const [shown, others] = isContext ? [card.suggestions, []] : [card.suggestions.slice(0, 1), card.suggestions.slice(1)];
  const name = isContext ? "passage" : "suggestion";
  const count = card.suggestions.length === 1 ? `1 ${name}` : `${card.suggestions.length} ${name}s`;
  const top = make("div", "top", `${card.dialect} · ${count}`);
  if (card.duplicate) top.append(make("span", "chip bad", "duplicate"));
  else if (card.after_ms === null && card.dialect in OVER_HTTP) top.append(make("span", "chip", "asked over HTTP"));
  else if (card.after_ms === null) top.append(make("span", "chip warn", "answers no turn"));
  else top.append(make("span", "chip good", `${milliseconds(card.after_ms)} after the turn`));
  const element = make("article", card.duplicate ? "card spare" : "card", null, top);
  element.dataset.card = card.index;
  shown.forEach((suggestion) => element.append(suggestionElement(interaction, suggestion)));
  if (others.length) {
    const more = make("details", "", null, make("summary", "", `${others.length} more`));
    others.forEach((suggestion) => more.append(suggestionElement(interaction, suggestion)));
    element.append(more);
  }
  const told = why(card);
  if (told) element.append(told);
  return element;
}

/** Shows what the agent has made of the card meanwhile; nothing else of a card changes. */
export function updateCard(element, interaction, card) {
  for (const suggestion of card.suggestions) {
    if (suggestion.id === null) continue;
    const old = element.querySelector(`[data-rank="${suggestion.rank}"] .actions`);
    const hadFocus = old?.contains(document.activeElement);
    const fresh = actions(interaction, suggestion);
    old?.replaceWith(fresh);
    if (hadFocus) fresh.querySelector("button:not(:disabled), .note")?.focus();
  }
}

function suggestionElement(interaction, suggestion) {
  const title = make("span", "", suggestion.title || suggestion.article.id || "Passage");
  const heading = make("h3", "", null, make("span", "rank", suggestion.rank), title);
  heading.firstChild.title = "rank";
  if (suggestion.score !== null) {
    const score = make("span", "score", Number(suggestion.score).toFixed(3));
    score.title = "score";
    heading.append(score);
  }
  const element = make("div", "insight", null, heading);
  element.dataset.rank = suggestion.rank;
  if (!suggestion.title) findTitle(suggestion, title);
  if (suggestion.text) element.append(make("p", "", withEnd(suggestion.text)));
  if (suggestion.link) element.append(citation(suggestion.link));
  element.append(whole(suggestion));
  if (suggestion.id !== null) element.append(actions(interaction, suggestion));
  return element;
}

/** Contracts cut texts after so many characters, in the middle of a word too. */
function withEnd(text) {
  return /[\p{L}\p{N}\s,;:]$/u.test(text) ? `${text.trimEnd()}…` : text;
}
