// The knowledge gaps: what customers asked that no article answered well.

import { byId, make } from "./dom.js";
import { get } from "./admin.js";
import { opens } from "./decisions.js";

function clusterElement({ count, silent, rejected, replaced, nearest, examples, last_at: last }) {
  const ways = [[silent, "silent"], [rejected, "rejected"], [replaced, "replaced by a later card"]];
  const parts = ways.filter(([number]) => number).map(([number, way]) => `${number} ${way}`);
  const element = make("article", "entry cluster", null, make("div", "line", null, make("span", "count", count), make("span", "parts", `${parts.join(", ")} · last ${new Date(last).toLocaleString()}`)));
  if (examples.length) {
    const quoted = make("ul");
    for (const { text, decision } of examples) quoted.append(make("li", "", null, opens(decision, make("summary", "", text))));
    element.append(quoted);
  }
  if (nearest) element.append(make("p", "note", `nearest article: ${nearest.title || nearest.id}`));
  return element;
}

function told({ looked_through: looked, unreadable, since, questions, without_words: without, more }) {
  const from = since ? `, the oldest of ${new Date(since).toLocaleString()}` : "";
  const sentences = [`${questions} of ${looked} decisions${from}, found no good article.`];
  if (without) {
    sentences.push(`Of ${without} the words are not kept (the profile's keep_words is off), so they are told apart by the nearest article and none is quoted.`);
  }
  if (unreadable) sentences.push(`${unreadable} decisions of another version can't be read.`);
  if (more) sentences.push(`${more} smaller groups are not listed.`);
  return sentences.join(" ");
}

export async function showGaps() {
  byId("gaps-told").textContent = "looking …";
  try {
    const gaps = await get("gaps");
    byId("gaps-told").textContent = told(gaps);
    byId("clusters").replaceChildren(...gaps.clusters.map(clusterElement));
  } catch (error) {
    byId("gaps-told").textContent = error.message;
  }
}
