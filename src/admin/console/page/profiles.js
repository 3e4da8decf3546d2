// What each profile can do: its parts, holds and circuits, the index that it answers from.

import { button, byId, make } from "./dom.js";
import { post } from "./admin.js";

const LOOKS = { ready: "good", degraded: "warn", waiting: "bad" };
const SHEDDING = ["", "only newest turns are embedded", "nothing is embedded", "old questions are let go"];
const drawn = new Map();
/** Parts that are nothing but a circuit, which has a chip of its own. */
const CIRCUITS = new Set(["pushes", "search"]);
/** What came of the last poll that was asked for, by profile: it outlives what is drawn anew. */
const asked = new Map();

export function showProfiles(profiles) {
  if (!profiles.length) return;
  const elements = profiles.map((profile) => {
    const text = JSON.stringify(profile);
    let known = drawn.get(profile.name);
    // One that is as it was keeps its element, and with it the focus.
    if (known?.text !== text) {
      known = { text, element: element(profile) };
      drawn.set(profile.name, known);
    }
    return known.element;
  });
  const place = byId("profiles");
  const focused = place.contains(document.activeElement) && document.activeElement.dataset.profile;
  if (elements.length !== place.childElementCount || elements.some((one, at) => place.children[at] !== one)) place.replaceChildren(...elements);
  if (focused) [...place.querySelectorAll("button")].find((one) => one.dataset.profile === focused)?.focus();
  showChoices(profiles.map(({ name }) => name));
}

export function showChoices(names) {
  for (const id of ["of-profile", "trial-profile"]) {
    const select = byId(id);
    const known = new Set([...select.options].map(({ value }) => value));
    for (const name of names.filter((name) => !known.has(name))) {
      const option = make("option", "", name);
      option.value = name;
      select.append(option);
    }
  }
}

function element(profile) {
  const { name, contract, dialect, ranker, health, index, polls, shedding } = profile;
  const top = make("div", "line", null, make("strong", "", name), make("span", `chip ${LOOKS[health.state] ?? ""}`, health.state),
    make("span", "kind", [contract, contract === dialect ? "" : `as ${dialect}`, ranker, profile.pushes ? "" : "pushes nothing"].filter(Boolean).join(" · ")));
  const told = asked.get(name) ?? make("p", "kind");
  told.setAttribute("role", "status");
  asked.set(name, told);
  if (polls) {
    const ask = button("button small", "Poll now", () => poll(name, told));
    ask.dataset.profile = name;
    top.append(ask);
  }
  const whole = make("div", "profile", null, top);
  if (health.reason) whole.append(make("p", "reason", health.reason));
  if (index) {
    const built = new Date(index.built_at).toLocaleString();
    whole.append(make("p", "kind", `Index generation ${index.generation}: ${index.articles} articles, built ${built}`));
  }
  if (polls) whole.append(make("p", "kind", `Polls: ${polls.map(({ name: result, count }) => `${count} ${result}`).join(", ")}`));
  if (shedding) whole.append(make("p", "reason", `Load shedding ${shedding}: ${SHEDDING[shedding] ?? ""}`));
  whole.append(told, chips(health));
  return whole;
}

function chips({ parts, holds, circuits }) {
  const list = make("ul", "");
  const chip = (look, text) => list.append(make("li", `chip ${look}`, text));
  for (const { part, is_good: isGood, reason } of parts.filter(({ part }) => !CIRCUITS.has(part))) chip(isGood ? "good" : "warn", isGood ? part : `${part}: ${reason}`);
  const open = circuits.filter(({ is_open: isOpen }) => isOpen);
  for (const { endpoint } of open) chip("warn", `${endpoint} circuit open`);
  if (!open.length) chip("", "all circuits closed");
  for (const { endpoint, seconds_left: left } of holds) chip("warn", `${endpoint} held ${Math.ceil(left)} s more`);
  if (!holds.length) chip("", "no holds");
  return list;
}

async function poll(name, told) {
  try {
    await post(`../profiles/${encodeURIComponent(name)}/refresh`);
    told.textContent = "Asked; the polls above count it when it is done.";
  } catch (error) {
    told.textContent = error.message;
  }
}
