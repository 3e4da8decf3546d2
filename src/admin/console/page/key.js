// Asks for a key where the port does. Until there is one, the page shows nothing else.

import { byId } from "./dom.js";
import { hasKey, useKey } from "./admin.js";
import { hideViews, showView } from "./tabs.js";

/** Asks, with what is told of the key before, and does something with the page as soon as there is a key to try. */
export function askForKey(told, then) {
  const known = hasKey() ? "That key does not open this port." : "Nothing is shown without one that has the right operate.";
  byId("key-name").textContent = told ? "Another key" : "401 · This port asks for a key";
  byId("key-told").textContent = `${told ?? known} It is kept until this tab is closed.`;
  useKey(null);
  hideViews();
  byId("key").hidden = false;
  byId("key-field").value = "";
  byId("key-field").focus();
  byId("key").onsubmit = (event) => {
    event.preventDefault();
    useKey(byId("key-field").value.trim());
    byId("key").hidden = true;
    byId("key-field").value = "";
    showView();
    then();
  };
}
