// Finds decisions by their id or by the call that they are about, also those that the list above has no more.

import { byId } from "./dom.js";
import { get } from "./admin.js";
import { entry } from "./decisions.js";

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Of one call; a longer one is for the command line. */
const MAX_SHOWN = 20;

/** A decision that is told in full, as the list tells it. */
function summaryOf({ id, heard_at: at, outcome, interaction, profile, utterance_number: utterance, latency_ms: latency, ranking, why }) {
  const places = ranking?.verdict?.cards ?? [];
  const cards = places.map((place) => ranking.candidates[place]?.title ?? "");
  const silence = outcome.kind === "silent" ? outcome.detail : null;
  return { id, at, outcome: outcome.kind, interaction, profile, utterance, latency_ms: latency, silence, ending: why?.[0] ?? "", live: { cards } };
}

async function idsOf(text) {
  if (ID.test(text)) return [text];
  return (await get(`../decisions?interaction=${encodeURIComponent(text)}`)).decisions;
}

async function find(event) {
  event.preventDefault();
  const text = byId("find-text").value.trim();
  const told = byId("find-told");
  told.classList.remove("bad");
  told.textContent = "looking …";
  byId("found").replaceChildren();
  try {
    const ids = await idsOf(text);
    const found = await Promise.all(ids.slice(0, MAX_SHOWN).map((id) => get(`../explain/${id}`)));
    byId("found").replaceChildren(...found.map((decision) => entry(summaryOf(decision))));
    const more = ids.length > found.length ? `, the newest ${found.length} of ${ids.length}` : "";
    told.textContent = ids.length ? `${found.length} found${more}` : "No decision about this call is kept.";
  } catch (error) {
    told.textContent = error.message;
    told.classList.add("bad");
  }
}

export function startFinding() {
  byId("find").addEventListener("submit", find);
  // The cross in the field clears what was found as well.
  byId("find-text").addEventListener("input", ({ target }) => {
    if (target.value) return;
    byId("found").replaceChildren();
    byId("find-told").textContent = "";
  });
}
