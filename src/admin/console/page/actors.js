// The actors: what each is doing, what waits for it, how busy it is, and a restart in place.

import { button, byId, make } from "./dom.js";
import { post } from "./admin.js";

const LOOKS = { running: "good", starting: "", restarting: "warn", stopped: "", failed: "bad", hanging: "bad" };
/** The columns that are counted, in their order. */
const NUMBERS = ["Queue", "Busy", "Restarts"];
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
    name.replaceChildren(actor.name, ...(actor.last_error ? [make("span", "error", actor.last_error)] : []));
    showState(state, actor);
    queue.replaceChildren(actor.queue_depth, ...(actor.queue_bound ? [make("span", "bound", ` of ${actor.queue_bound}`)] : []), actor.in_flight ? ` + ${actor.in_flight}` : "");
    queue.title = "waiting, of how many that may, and in flight outside the actor";
    load.textContent = `${Math.round(100 * Math.max(0, Math.min(1, busy)))} %`;
    restarts.textContent = actor.restarts;
  }
  last = { at, busy: new Map(actors.map(({ name, busy_seconds: busy }) => [name, busy])) };
}

/** One that hangs is running all the same: what it is doing comes first then. */
function showState(cell, { state, activity, since }) {
  const word = activity === "hanging" ? activity : state;
  const [chip, doing] = cell.children;
  chip.className = `chip ${LOOKS[word] ?? ""}`;
  chip.textContent = word;
  doing.textContent = `${activity === word ? "" : `${activity}, `}since ${moment(new Date(since))}`;
  cell.title = `${state} since ${new Date(since).toLocaleString()}`;
}

/** The time of today, the day of any other. */
function moment(then) {
  const isToday = then.toDateString() === new Date().toDateString();
  return isToday ? then.toLocaleTimeString([], { hour12: false }) : then.toLocaleDateString();
}

function added(name) {
  const state = make("td", "", null, make("span", "chip"), make("span", "doing"));
  const row = make("tr", "", null, make("td"), state, ...NUMBERS.map(number));
  const restart = button("button small danger", "Restart", () => press(name, restart));
  unsure(name, restart);
  row.append(make("td", "", null, restart));
  rows.set(name, row);
  byId("actors").tBodies[0].append(row);
  return row;
}

/** Where rows are stacked there is no head, and the cell shows this before its number. */
function number(column) {
  const cell = make("td", "number");
  cell.dataset.column = column;
  return cell;
}

/** What a restart costs is little, but a slip should not be one: it is asked for twice. */
async function press(name, restart) {
  const told = byId("actors-told");
  told.classList.remove("bad");
  if (!restart.dataset.sure) {
    restart.dataset.sure = "yes";
    restart.textContent = "Sure?";
    // The label is read in place of the text, and says no less.
    restart.setAttribute("aria-label", `Sure? Press again to restart ${name}`);
    told.textContent = `Press again to restart ${name}. Nothing that waits for it or is in flight is lost.`;
    setTimeout(() => unsure(name, restart), SURE_MS);
    return;
  }
  unsure(name, restart);
  try {
    await post(`../actors/${encodeURIComponent(name)}/restart`);
    told.textContent = `${name} was told to restart.`;
  } catch (error) {
    told.textContent = `${name}: ${error.message}`;
    told.classList.add("bad");
  }
}

function unsure(name, restart) {
  delete restart.dataset.sure;
  restart.textContent = "Restart";
  restart.setAttribute("aria-label", `Restart ${name}`);
}
