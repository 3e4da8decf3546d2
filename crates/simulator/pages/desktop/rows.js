// The conversation that is shown: what was said on the left, each card beside the turn that brought it.

import { byId, make } from "./dom.js";
import { cardElement, OVER_HTTP, updateCard } from "./card.js";

/** Where the page itself left the rows scrolled. */
let restingAt = 0;

export function clearRows() {
  byId("rows").replaceChildren();
}

export function showEmpty() {
  const empty = make("div", "empty", null, make("strong", "", "Waiting for a conversation"));
  empty.append("It appears here with the first words that a connected client hears, or the first push of one that is asked over HTTP.");
  byId("rows").replaceChildren(empty);
}

/** Scrolls to the end, but never past the top of a card that has just come. */
function showEnd(card) {
  const rows = byId("rows");
  rows.scrollTop = Math.min(rows.scrollHeight, card ? card.offsetTop - rows.offsetTop - 16 : Infinity);
  restingAt = rows.scrollTop;
}

export function showLastCard() {
  showEnd(byId("rows").lastElementChild?.querySelector(".card:last-child"));
}

/** Makes a change to the rows and shows their end, unless the reader has moved away from it. */
export function atEnd(change) {
  const rows = byId("rows");
  const near = rows.scrollTop === restingAt || rows.scrollHeight - rows.scrollTop - rows.clientHeight < 120;
  const card = change();
  if (near) showEnd(card);
}

function row(name) {
  const element = make("section", "row", null, make("div", "bubble", null), make("div", "cards"));
  element.dataset.bubble = name;
  byId("rows").append(element);
  return element;
}

export function showBubble(bubble) {
  const rows = byId("rows");
  const element = rows.querySelector(`[data-bubble="${bubble.index}"]`) || row(bubble.index);
  element.className = `row ${bubble.customer ? "customer" : "agent"}${bubble.done ? "" : " open"}`;
  if (bubble.turn !== null) element.dataset.turn = bubble.turn;
  const who = make("span", "who", bubble.customer ? "Customer" : "Agent");
  element.querySelector(".bubble").replaceChildren(who, bubble.text);
}

export function showCard(interaction, card, fresh) {
  const old = byId("rows").querySelector(`[data-card="${card.index}"]`);
  if (old) {
    updateCard(old, interaction, card);
    return old;
  }
  const element = cardElement(interaction, card);
  element.classList.toggle("fresh", fresh);
  placeOf(card).querySelector(".cards").append(element);
  return element;
}

/** The row of the turn that a card answers; one of its own where the turn was never heard. */
function placeOf(card) {
  const rows = byId("rows");
  const unheard = card.turn === null && !card.duplicate && OVER_HTTP[card.dialect];
  if (!unheard) return rows.querySelector(`[data-turn="${card.turn}"]`) || rows.lastElementChild || row("none");
  const own = row(`of card ${card.index}`);
  own.querySelector(".bubble").replaceWith(make("p", "unheard", unheard));
  return own;
}
