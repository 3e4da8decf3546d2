// The settings in force, and where each value came from. Secrets come as ***.

import { byId, make } from "./dom.js";
import { get } from "./admin.js";

let settings = [];

function row([key, { value, from, by }]) {
  const written = typeof value === "string" ? value : JSON.stringify(value);
  return make("tr", "", null, make("td", "", key), make("td", "", written === "" ? "–" : written), make("td", "", by ? `${from}: ${by}` : from));
}

function draw() {
  const wanted = byId("settings-find").value.trim().toLowerCase();
  const onlySet = byId("settings-set").checked;
  const shown = settings.filter(([key, { from }]) => key.toLowerCase().includes(wanted) && !(onlySet && from === "default"));
  byId("settings-table").tBodies[0].replaceChildren(...shown.map(row));
  byId("settings-told").textContent = `${shown.length} of ${settings.length} settings`;
}

export async function showSettings() {
  try {
    settings = Object.entries((await get("../config")).settings ?? {});
    draw();
  } catch (error) {
    byId("settings-told").textContent = error.message;
  }
}

export function startSettings() {
  byId("settings-find").addEventListener("input", draw);
  byId("settings-set").addEventListener("change", draw);
}
