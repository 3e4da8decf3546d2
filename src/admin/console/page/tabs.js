// Which view is shown: the one that the address names after its #.

import { byId } from "./dom.js";

const opened = {};

/** Does something each time a view is shown. */
export function onView(name, show) {
  opened[name] = show;
}

const current = () => {
  const name = location.hash.slice(1);
  return document.querySelector(`.view[id="${CSS.escape(name)}"]`) ? name : "overview";
};

export function hideViews() {
  for (const view of document.querySelectorAll(".view")) view.hidden = true;
}

export function showView() {
  if (!byId("key").hidden) return;
  const name = current();
  for (const view of document.querySelectorAll(".view")) view.hidden = view.id !== name;
  for (const tab of byId("tabs").children) {
    if (tab.hash === `#${name}`) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  opened[name]?.();
}

addEventListener("hashchange", showView);
