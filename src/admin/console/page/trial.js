// The try-it box: a conversation, and what an agent would see of it.

import { byId, make, milliseconds } from "./dom.js";
import { post } from "./admin.js";
import { candidates, list } from "./why.js";

/** Lines as turns; whoever is not named is the customer. */
function turnsOf(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return lines.map((line) => {
    const [, named, rest] = /^(agent|customer):\s*(.*)$/i.exec(line) ?? [null, "customer", line];
    return { speaker: named.toLowerCase(), text: rest };
  }).filter(({ text: said }) => said);
}

function answered(turns, { turn, cards, silence, why, candidates: ranked, key_phrases: phrases, took_ms: took }) {
  const element = make("article", "entry turn", null, make("blockquote", "", turns[turn].text));
  const top = make("div", "line", null, make("span", cards.length ? "chip good" : "chip", cards.length ? "card" : `silent: ${silence}`), make("span", "at", milliseconds(took)));
  element.append(top);
  for (const { title, text } of cards.slice(0, 1)) element.append(make("p", "title", title), make("p", "", text));
  if (cards.length > 1) element.append(make("p", "note", `below it: ${cards.slice(1).map(({ title }) => title).join("; ")}`));
  const inside = make("div", "inside", null, list(why));
  if (phrases.length) inside.append(make("p", "said", `Key phrases: ${phrases.join(", ")}`));
  if (ranked.length) inside.append(candidates(ranked));
  element.append(make("details", "", null, make("summary", "", "Why"), inside));
  return element;
}

async function tryOut(event) {
  event.preventDefault();
  const told = byId("trial-told");
  const turns = turnsOf(byId("trial-text").value);
  told.classList.remove("bad");
  told.textContent = "asking …";
  try {
    const { turns: answers } = await post("try", { profile: byId("trial-profile").value, turns });
    byId("trial-turns").replaceChildren(...answers.map((answer) => answered(turns, answer)));
    told.textContent = "";
  } catch (error) {
    told.classList.add("bad");
    told.textContent = error.message;
  }
}

export function startTrial() {
  byId("trial").addEventListener("submit", tryOut);
  byId("trial-text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("trial").requestSubmit();
  });
}
