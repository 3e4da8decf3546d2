// A decision with everything that is known of it, and rankings in words.

import { make, milliseconds } from "./dom.js";

export function list(sentences) {
  const items = make("ul");
  for (const sentence of sentences) items.append(make("li", "", sentence));
  return items;
}

export function candidates(ranked) {
  const body = make("tbody");
  for (const { id, title, score } of ranked) {
    body.append(make("tr", "", null, make("td", "", title || id, make("span", "error")), make("td", "number", Number(score ?? 0).toFixed(3))));
    body.lastChild.firstChild.title = id;
  }
  const head = make("thead", "", null, make("tr", "", null, make("th", "", "Found"), make("th", "number", "Score")));
  return make("table", "", null, head, body);
}

/** The parts of a decision, as `/explain` has it. */
export function explained(decision) {
  const parts = [];
  const part = (name, ...content) => parts.push(make("h4", "", name), ...content);
  if (decision.words) {
    part("What was said, masked", ...decision.words.map(({ speaker, text }) => make("p", "said", null, make("b", "", `${speaker}: `), text)));
  }
  if (decision.words_left_out) part("What was said", make("p", "said", `${decision.words_left_out}.`));
  part("Why", decision.why?.length ? list(decision.why) : make("p", "said", "Another version wrote it down; what it says stands below."));
  if (decision.shadow_why) part("The second ranker", list(decision.shadow_why));
  const failures = decision.failures ?? [];
  if (failures.length) part("Backends that did not answer", list(failures));
  const ranked = decision.ranking?.candidates ?? [];
  if (ranked.length) part("What was found", candidates(ranked.slice(0, 5)));
  const times = decision.stages.map(({ stage, took_ms: took }) => `${stage} ${took.toFixed(1)} ms`);
  part("Time", make("p", "said", `${times.join(", ")}${times.length ? "; " : ""}${milliseconds(decision.latency_ms)} from the last word.`));
  const { program, plan, model, ranker } = decision.versions;
  part("Decided by", make("p", "said", `cuecard ${program}, ranker ${ranker || "none"}, plan ${plan}, model ${model.split("@")[0]}`));
  part("Id", make("p", "said", null, make("code", "", decision.id)));
  return parts;
}
