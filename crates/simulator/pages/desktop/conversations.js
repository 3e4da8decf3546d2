// The conversations that the page knows, their list, and which of them is shown.

import { button, byId, make } from "./dom.js";
import { clearRows, showBubble, showCard, showEmpty, showLastCard } from "./rows.js";

/** The simulator keeps as many. */
const MAX_INTERACTIONS = 30;

/** By their keys, oldest first. */
export const interactions = new Map();
let selected = null;

export const isSelected = (key) => key === selected;

/** What it is called: its title, else what the customer said first, else its id. */
function nameOf({ title, bubbles, id }) {
  const first = bubbles.find((bubble) => bubble.customer)?.text.trim();
  return title || first || id;
}

export function showListItem(interaction) {
  let { item } = interaction;
  if (!item) {
    const choose = button("", null, () => {
      byId("follow").checked = false;
      select(interaction.key);
    });
    choose.append(make("span", "name"), make("span", "note"));
    item = interaction.item = make("li", "", null, choose);
    byId("list").prepend(item);
  }
  const count = interaction.cards.length;
  const cards = count === 1 ? "1 card" : `${count} cards`;
  item.querySelector(".name").textContent = nameOf(interaction);
  item.querySelector(".note").textContent = `${cards} · ${interaction.ended ? "ended" : "live"}`;
  item.firstChild.title = `${interaction.id} of ${interaction.client}`;
  item.firstChild.setAttribute("aria-current", String(isSelected(interaction.key)));
}

export function showBar() {
  const interaction = interactions.get(selected);
  byId("title").textContent = interaction ? nameOf(interaction) : "No conversation yet";
  byId("title").title = interaction ? interaction.id : "";
  byId("state").hidden = !interaction;
  if (interaction) {
    byId("state").textContent = interaction.ended ? "ended" : "live";
    byId("state").className = interaction.ended ? "chip" : "chip live";
  }
}

/** Redraws the conversation; new words and cards then change single rows. */
export function select(key) {
  const before = interactions.get(selected);
  selected = key;
  if (before) showListItem(before);
  const interaction = interactions.get(key);
  clearRows();
  interaction.bubbles.forEach(showBubble);
  interaction.cards.forEach((card) => showCard(interaction, card, false));
  showListItem(interaction);
  showBar();
  showLastCard();
}

/** The conversation that is shown, drawn again. */
export function redraw() {
  if (interactions.has(selected)) select(selected);
}

export function open(interaction) {
  const { key } = interaction;
  interactions.get(key)?.item?.remove();
  interactions.set(key, { ...interaction, item: null });
  forgetOldest();
  showListItem(interactions.get(key));
  if (selected === null || byId("follow").checked) select(key);
}

function forgetOldest() {
  if (interactions.size <= MAX_INTERACTIONS) return;
  const [key, oldest] = interactions.entries().next().value;
  if (isSelected(key)) return;
  oldest.item?.remove();
  interactions.delete(key);
}

/** Shows these instead of all that the page knew. */
export function replaceAll(all) {
  interactions.clear();
  byId("list").replaceChildren();
  const keep = selected;
  selected = null;
  showEmpty();
  for (const interaction of all) {
    interactions.set(interaction.key, { ...interaction, item: null });
    showListItem(interactions.get(interaction.key));
  }
  const newest = all.length ? all[all.length - 1].key : null;
  const next = !byId("follow").checked && interactions.has(keep) ? keep : newest;
  if (next !== null) select(next);
}
