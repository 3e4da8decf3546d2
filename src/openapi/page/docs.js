// Builds the page from the document: the calls in groups, each opened on demand.

import { byId, make } from "./dom.js";
import { call } from "./call.js";
import { prose } from "./prose.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

/** Every call of the document, in its order, with its group. */
function calls(document) {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ path, method, operation: item[method] })));
}

function group({ name, description }, entries) {
  const heading = make("h2", "", name);
  const section = make("section", "panel", null, heading, prose("p", "note", description), ...entries);
  heading.id = `of-${name}`;
  section.setAttribute("aria-labelledby", heading.id);
  return section;
}

function server({ url, description }) {
  return make("li", "", null, make("code", "", url), ` ${description}`);
}

/** Leaves the calls whose path or words have all of what is looked for, and the groups that still have any. */
function leave(wanted) {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of byId("groups").children) {
    const entries = [...section.querySelectorAll("details.call")];
    for (const entry of entries) {
      const text = entry.querySelector("summary").textContent.toLowerCase();
      entry.hidden = !words.every((word) => text.includes(word));
    }
    section.hidden = entries.every((entry) => entry.hidden);
  }
}

function openNamed() {
  const named = document.getElementById(location.hash.slice(1));
  if (!named?.matches("details.call")) return;
  named.open = true;
  named.scrollIntoView();
}

function show(read) {
  byId("title").textContent = read.info.title;
  byId("version").textContent = read.info.version;
  document.title = `${read.info.title} · calls`;
  byId("told").replaceChildren(...prose("p", "", read.info.description).childNodes);
  if (read.servers.length > 1) byId("servers").replaceChildren(...read.servers.map(server));
  const all = calls(read);
  for (const tag of read.tags) {
    const entries = all.filter(({ operation }) => operation.tags.includes(tag.name));
    byId("groups").append(group(tag, entries.map((entry) => call(read, entry))));
  }
  byId("finding").hidden = false;
  byId("find").addEventListener("input", () => leave(byId("find").value));
  addEventListener("hashchange", openNamed);
  openNamed();
}

try {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`answered ${answer.status}`);
  show(await answer.json());
} catch (error) {
  byId("told").textContent = `The document can't be read: ${error.message}. Load the page again.`;
}
