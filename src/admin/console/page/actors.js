// The actors: what waits for each, how busy it is, and a restart in place.

import { button, byId, make } from "./dom.js";
import { post } from "./admin.js";

const LOOKS = { running: "good", starting: "", restarting: "warn", stopped: "", failed: "bad" };
/** Until a second press counts as a first one again. */
const SURE_MS = 4000;

/** Rows by their actors' names. */
const rows = new Map();
let last = null;

export function showActors({ at_seconds: at, actors }) {
  const seconds = last ? at - last.at : 0;
  for (const actor of actors) {
    const row = rows.get(actor.name) ?? added(actor.name);
    const busy = seconds > 0 ? (actor.busy_seconds - (last.busy.get(actor.name) ?? actor.busy_seconds)) / seconds : 0;
    const [name, state, queue, load, restarts] = row.children;
    const error = actor.last_error && make("span", "error", `panicked at ${actor.last_error}`);
    name.replaceChildren(actor.name, ...(error ? [error] : []));
    state.firstChild.className = `chip ${LOOKS[actor.state] ?? ""}`;
    state.firstChild.textContent = actor.state;
    queue.textContent = actor.in_flight ? `${actor.queue_depth} + ${actor.in_flight}` : actor.queue_depth;
    queue.title = "waiting, and in flight outside the actor";
    load.textContent = `${Math.round(100 * Math.max(0, Math.min(1, busy)))} %`;
    restarts.textContent = actor.restarts;
  }
  last = { at, busy: new Map(actors.map(({ name, busy_seconds: busy }) => [name, busy])) };
}

function added(name) {
  const row = make("tr", "", null, make("td"), make("td", "", null, make("span", "chip")), make("td", "number"), make("td", "number"), make("td", "number"));
  const restart = button("button small danger", "Restart", () => press(name, restart));
  restart.setAttribute("aria-label", `Restart ${name}`);
  row.append(make("td", "", null, restart));
  rows.set(name, row);
  byId("actors").tBodies[0].append(row);
  return row;
}

/** A restart drops what the actor has in hand, so it is asked for twice. */
async function press(name, restart) {
  if (!restart.dataset.sure) {
    restart.dataset.sure = "yes";
    restart.textContent = "Sure?";
    setTimeout(() => unsure(restart), SURE_MS);
    return;
  }
  unsure(restart);
  const told = byId("actors-told");
  told.classList.remove("bad");
  try {
    await post(`../actors/${encodeURIComponent(name)}/restart`);
    told.textContent = `${name} was told to restart.`;
  } catch (error) {
    told.textContent = `${name}: ${error.message}`;
    told.classList.add("bad");
  }
}

function unsure(restart) {
  delete restart.dataset.sure;
  restart.textContent = "Restart";
}
