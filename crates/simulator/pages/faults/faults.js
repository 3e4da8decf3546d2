// The panel that makes things go wrong, and what arrived.

import { byId, make } from "./dom.js";

/** Rows kept in the view. */
const MAX_ROWS = 400;
const LOOK_EVERY_MS = 1000;
const ROUTES = {
  token: "token", stream: "stream (003)", events: "events (001)", rag: "rag (000)", snippets: "snippets (001)",
  graph: "graph (002)", insights: "insights (003)", ranking: "ranking (004)", session: "session (004)",
  feedback: "feedback (003)", articles: "articles (001)", search: "search (003)",
};
const PRESETS = [
  ["429 storm", { kind: "answer", status: "429", retry: "seconds", retryValue: "1", often: "always", every: "2" }],
  ["Outage", { kind: "answer", status: "503", retry: "", often: "always", every: "1" }],
  ["Missing scope", { kind: "answer", status: "403", retry: "", often: "once", every: "1" }],
  ["Slow by 3 s", { kind: "delay", by: "3s", often: "once", every: "1" }],
  ["Lost answer", { kind: "after_handling", often: "once", every: "1" }],
];
const FIXED = {
  no_json: { kind: "answer", status: 200, body: "<html>not what you asked for</html>" },
  login_page: { kind: "login_page", status: 200 },
  interim: { kind: "interim", status: 103 },
  gzip: { kind: "gzip" },
  no_answer: { kind: "no_answer" },
  no_close: { kind: "no_close" },
};
const ENDS = { before_handling: "cut before handling", after_handling: "cut after handling", in_body: "cut in the body" };

/** Calls the simulator; the reason when it refuses. */
async function call(method, path, body) {
  const options = { method };
  if (body !== undefined) {
    options.headers = { "content-type": "application/json" };
    options.body = JSON.stringify(body);
  }
  try {
    const answer = await fetch(path, options);
    if (answer.ok) return null;
    const told = await answer.json().catch(() => ({}));
    return told.message || `answered ${answer.status}`;
  } catch {
    return "the simulator does not answer";
  }
}

async function tell(id, reason, done) {
  byId(id).textContent = reason || done;
  byId(id).classList.toggle("bad", Boolean(reason));
  await look();
}

/** The fault that the form describes. */
function fault() {
  const kind = byId("kind").value;
  const times = { once: 1, times: Number(byId("times").value) || 1, always: "always" }[byId("often").value];
  const order = { route: byId("route").value, times, every: Number(byId("every").value) };
  if (kind === "answer") {
    order.fault = { kind: "answer", status: Number(byId("status").value) };
    const [form, value] = [byId("retry").value, byId("retry-value").value];
    if (form === "seconds") order.fault.retry_after = { seconds: Math.max(0, Math.round(Number(value) || 0)) };
    if (form === "date_in") order.fault.retry_after = { date_in: `${Math.max(0, Math.round(Number(value) || 0))}s` };
    if (form === "literal") order.fault.retry_after = { literal: value };
  } else if (kind in FIXED) order.fault = FIXED[kind];
  else if (kind === "delay") order.fault = { kind: "delay", by: byId("by").value };
  else order.fault = { kind: "cut", moment: kind };
  return order;
}

function showForm() {
  const kind = byId("kind").value;
  for (const box of document.querySelectorAll("[data-for]")) box.hidden = box.dataset.for !== kind;
  const retry = byId("retry").value;
  byId("retry-box").hidden = kind !== "answer" || retry === "";
  byId("retry-name").textContent = retry === "literal" ? "Characters" : "Seconds";
  byId("times-box").hidden = byId("often").value !== "times";
  const text = JSON.stringify(fault());
  byId("call").textContent = `curl ${location.origin}/_sim/faults \\\n  -H 'content-type: application/json' \\\n  -d '${text}'`;
}

function preset(values) {
  const fields = { kind: "kind", status: "status", retry: "retry", retryValue: "retry-value", by: "by", often: "often", every: "every" };
  for (const [name, id] of Object.entries(fields)) if (name in values) byId(id).value = values[name];
  showForm();
  byId("fault-told").textContent = "filled in, not added yet";
  byId("fault-told").classList.remove("bad");
}

function describe({ kind, status, retry_after: retry, body, by, moment, location: place, find }) {
  const words = {
    delay: `slow by ${by}`, no_answer: "never answers", cut: ENDS[moment], redirect: `${status} to ${place}`,
    login_page: `${status}, a login page`, interim: `${status} before the answer`, gzip: "compressed unasked",
    edit: `"${find}" reads otherwise`, no_close: "no close frame is answered",
  };
  if (kind in words) return words[kind];
  if (body) return `${status}, ${body.slice(0, 24)}`;
  if (!retry) return `${status}`;
  const [form, value] = Object.entries(retry)[0];
  if (form === "date_by_clock") return `${status}, Retry-After date in ${value.date_in}, clock ahead by ${value.ahead}`;
  return `${status}, Retry-After ${form === "date_in" ? `date in ${value}` : value}`;
}

function often({ left, every }) {
  const which = every > 1 ? `every ${every}${{ 2: "nd", 3: "rd" }[every] || "th"}` : "";
  const count = left === null ? "until cleared" : left === 1 ? "once" : `${left} times`;
  return which ? `${which}, ${count}` : count;
}

function showList(id, items, nothing) {
  byId(id).replaceChildren(...(items.length ? items : [make("li", "nothing", nothing)]));
}

function showState({ summary, streams, faults, locked_sessions: locked, articles }) {
  byId("streams-count").textContent = summary.streams;
  for (const name of ["turns", "cards", "duplicates", "violations"]) byId(name).textContent = summary[name];
  for (const name of ["duplicates", "violations"]) byId(`${name}-box`).classList.toggle("bad", summary[name] > 0);
  byId("faults-count").textContent = faults.length ? String(faults.length) : "";
  showList("faults", faults.map((each) => make("li", "", null,
    make("span", "chip blue", each.route), make("span", "", describe(each.fault)), make("span", "number", often(each)))),
    "No fault is scripted.");
  showList("streams", streams.map((each) => make("li", "", null,
    make("span", "chip blue", each.kind === "snippets" ? "events (001)" : "stream (003)"), make("span", "", each.client_id),
    make("span", each.silent ? "chip warn" : "chip good", each.silent ? "silent" : "open"))),
    "No client is connected.");
  byId("locked").textContent = locked.length === 1 ? `${locked[0]} is locked` : locked.length ? `${locked.length} are locked` : "";
  byId("locked").title = locked.join(", ");
  byId("articles-note").textContent = `${articles.count}, changed at ${articles.last_modified.split(" ")[4]} GMT`;
  byId("articles-note").title = articles.last_modified;
  if (document.activeElement !== byId("answer")) byId("answer").value = articles.answer;
}

let next = 0;
let gone = false;
/** The look that is under way: two at once would show a request twice. */
let looking = null;
/** Counts the changes of the filters: what was asked for before is not shown after. */
let filters = 0;

function moment(millis) {
  const seconds = millis / 1000;
  const minutes = Math.floor(seconds / 60);
  return `${String(minutes).padStart(2, "0")}:${(seconds % 60).toFixed(3).padStart(6, "0")}`;
}

function verdictChip({ kind }) {
  const looks = { accepted: "good", repeated: "", duplicate: "warn", refused: "warn", violation: "bad", scripted: "blue" };
  return make("span", `chip ${looks[kind]}`, kind);
}

function entryRow(entry) {
  const target = make("td", "path", `${entry.method} ${entry.path}${entry.query ? `?${entry.query}` : ""}`);
  const { reason } = entry.verdict;
  if (reason) target.append(make("span", entry.verdict.kind === "refused" ? "reason mild" : "reason", reason));
  const opener = make("button", "opener", moment(entry.since_start_ms));
  opener.type = "button";
  opener.title = "what was sent";
  opener.setAttribute("aria-expanded", "false");
  const row = make("tr", "entry", null,
    make("td", "number", null, opener), make("td", "route", entry.route), target,
    make("td", "client", entry.client_id || "–"), make("td", "number", entry.status ?? "no answer"),
    make("td", "", null, verdictChip(entry.verdict)));
  row.children[3].title = entry.client_id || "no client is known";
  // The button is for keyboards and readers; its presses arrive here as well.
  row.addEventListener("click", () => {
    const isOpen = row.nextSibling?.className === "detail";
    if (isOpen) row.nextSibling.remove();
    else row.after(detailRow(entry));
    opener.setAttribute("aria-expanded", String(!isOpen));
  });
  return row;
}

function detailRow(entry) {
  const cell = make("td", "");
  cell.colSpan = 6;
  const facts = [["sequence", entry.sequence], ["Idempotency-Key", entry.idempotency_key], ["If-Modified-Since", entry.if_modified_since]];
  const list = make("dl", "");
  for (const [name, value] of facts) {
    if (value !== null) list.append(make("div", "", null, make("dt", "", name), make("dd", "", value)));
  }
  cell.append(list);
  const body = typeof entry.body === "string" ? entry.body : JSON.stringify(entry.body, null, 2);
  cell.append(make("pre", "", entry.body === null ? "no body" : body));
  return make("tr", "detail", null, cell);
}

function showEntries(entries) {
  const rows = byId("entries");
  for (const entry of entries) {
    next = Math.max(next, entry.sequence + 1);
    rows.prepend(entryRow(entry));
  }
  while (rows.childElementCount > MAX_ROWS) rows.lastElementChild.remove();
  byId("empty").hidden = rows.childElementCount > 0;
}

function look() {
  looking ??= lookOnce().finally(() => { looking = null; });
  return looking;
}

async function lookOnce() {
  const asked = filters;
  try {
    showState(await (await fetch("/_sim/state")).json());
    if (byId("live").checked) {
      const query = new URLSearchParams({ from: next, limit: MAX_ROWS, refused: byId("filter-refused").checked });
      if (byId("filter-route").value) query.set("route", byId("filter-route").value);
      const entries = await (await fetch(`/_sim/received?${query}`)).json();
      if (asked === filters) showEntries(entries);
    }
    if (gone) byId("fault-told").textContent = "";
    gone = false;
  } catch {
    gone = true;
    byId("fault-told").textContent = "the simulator does not answer";
  }
}

function startOver() {
  filters += 1;
  next = 0;
  byId("entries").replaceChildren();
  byId("empty").hidden = false;
  look();
}

for (const [name, label] of Object.entries(ROUTES)) {
  for (const id of ["route", "filter-route"]) {
    const option = make("option", "", label);
    option.value = name;
    byId(id).append(option);
  }
}
byId("route").value = "insights";
for (const [label, values] of PRESETS) {
  const button = make("button", "button", label);
  button.type = "button";
  button.addEventListener("click", () => preset(values));
  byId("presets").append(button);
}
byId("fault").addEventListener("input", showForm);
byId("fault").addEventListener("submit", async (event) => {
  event.preventDefault();
  await tell("fault-told", await call("POST", "/_sim/faults", fault()), "added");
});
byId("clear").addEventListener("click", async () => tell("fault-told", await call("DELETE", "/_sim/faults"), "cleared"));
for (const button of document.querySelectorAll("[data-end]")) {
  const how = button.dataset.end;
  button.addEventListener("click", async () => tell("streams-told", await call("POST", "/_sim/streams/end", { how }), "done"));
}
const MESSAGES = {
  binary: { bytes: [0, 159, 146, 150] },
  invalid: { text: "{\"type\": \"TRANSCRIPT_FRAGMENT\", \"text\": " },
  oversized: { oversized: 2_000_000 },
  parts: { parts: ["{\"type\":\"SENTI", "MENT\",", "\"score\":0.5}"] },
};
for (const button of document.querySelectorAll("[data-send]")) {
  const message = MESSAGES[button.dataset.send];
  button.addEventListener("click", async () => tell("streams-told", await call("POST", "/_sim/streams/send", message), "sent"));
}
byId("expire").addEventListener("click", async () =>
  tell("session-told", await call("POST", "/_sim/tokens/expire"), "every token issued so far is worthless"));
for (const button of document.querySelectorAll("[data-session]")) {
  const what = button.dataset.session;
  button.addEventListener("click", async () => {
    const id = encodeURIComponent(byId("session").value);
    if (!id) return tell("session-told", "name an interaction or a session", "");
    const path = what === "end" ? `/_sim/interactions/${id}/end` : `/_sim/sessions/${id}/${what}`;
    return tell("session-told", await call("POST", path), `${what}: done`);
  });
}
byId("answer").addEventListener("change", async ({ target }) =>
  tell("articles-told", await call("POST", "/_sim/articles", { answer: target.value }), "the next poll sees it"));
const articlePath = () => `/_sim/articles/${encodeURIComponent(byId("article-id").value)}`;
byId("put").addEventListener("click", async () => {
  if (!byId("article-id").value) return tell("articles-told", "name an article", "");
  const content = { title: byId("article-title").value, body: byId("article-body").value };
  return tell("articles-told", await call("PUT", articlePath(), content), "put");
});
byId("delete").addEventListener("click", async () => {
  if (!byId("article-id").value) return tell("articles-told", "name an article", "");
  return tell("articles-told", await call("DELETE", articlePath()), "deleted");
});
byId("filter-route").addEventListener("change", startOver);
byId("filter-refused").addEventListener("change", startOver);
byId("forget").addEventListener("click", () => {
  byId("entries").replaceChildren();
  byId("empty").hidden = false;
});
showForm();
look();
setInterval(look, LOOK_EVERY_MS);
