// The articles behind suggestions, asked for when somebody wants to read one.

import { make } from "./dom.js";

/** Remembered at most; a page may stay open all day. */
const MAX_REMEMBERED = 100;

/** Answers that are there or under way, by what was asked. */
const asked = new Map();

async function ask(query) {
  const answer = await fetch(`/_sim/articles?${query}`);
  if (!answer.ok) throw new Error(`answered ${answer.status}`);
  return (await answer.json()).articles[0] ?? null;
}

/** The article of a suggestion; null where the simulator holds none. */
function find({ article }) {
  const query = new URLSearchParams(article).toString();
  if (!asked.has(query)) {
    asked.set(query, ask(query));
    // The articles may change; what failed is asked again.
    asked.get(query).catch(() => asked.delete(query));
    if (asked.size > MAX_REMEMBERED) asked.delete(asked.keys().next().value);
  }
  return asked.get(query);
}

/** Puts the article's title where only its id stands. */
export function findTitle(suggestion, element) {
  const put = (article) => {
    if (!article) return;
    element.textContent = article.title;
    element.title = article.id;
  };
  find(suggestion).then(put).catch(() => {});
}

/** The fold with the article's full text, which is asked for when it is opened first. */
export function whole(suggestion) {
  const text = make("p", "", "asking …");
  text.tabIndex = 0;
  const element = make("details", "whole", null, make("summary", "", "Full text"), text);
  element.addEventListener("toggle", () => show(suggestion, text), { once: true });
  return element;
}

async function show(suggestion, text) {
  try {
    const article = await find(suggestion);
    text.textContent = article?.body ?? "The simulator does not hold this article; start it with --articles FILE.";
  } catch {
    text.textContent = "The simulator does not answer.";
  }
}
