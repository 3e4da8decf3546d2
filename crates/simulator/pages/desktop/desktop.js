// The agent's desktop: a live feed that begins with everything on the desk.

import { atEnd, showBubble, showCard } from "./rows.js";
import { interactions, isSelected, open, redraw, replaceAll, showBar, showListItem } from "./conversations.js";
import { showCounts, showGone, showLink, showMedian } from "./figures.js";
import { onSwitch } from "./why.js";

/** Does something with an interaction that the page knows. */
function on(key, change) {
  const interaction = interactions.get(key);
  if (interaction) change(interaction);
}

const handlers = {
  snapshot({ interactions: all, counts }) {
    replaceAll(all);
    showCounts(counts);
    showMedian();
  },
  interaction({ interaction }) {
    open(interaction);
  },
  bubble({ interaction: key, bubble }) {
    on(key, (interaction) => {
      interaction.ended = false;
      interaction.bubbles[bubble.index] = bubble;
      if (isSelected(key)) atEnd(() => showBubble(bubble));
      showListItem(interaction);
      showBar();
    });
  },
  card({ interaction: key, card }) {
    on(key, (interaction) => {
      const isNew = !(card.index in interaction.cards);
      interaction.cards[card.index] = card;
      if (isSelected(key) && isNew) atEnd(() => showCard(interaction, card, true));
      else if (isSelected(key)) showCard(interaction, card, false);
      showListItem(interaction);
      showMedian();
      showLink();
    });
  },
  ended({ interaction: key }) {
    on(key, (interaction) => {
      interaction.ended = true;
      showListItem(interaction);
      showBar();
    });
  },
  counts({ counts }) {
    showCounts(counts);
  },
};

onSwitch(redraw);
const feed = new EventSource("/_sim/feed");
feed.addEventListener("message", ({ data }) => {
  const event = JSON.parse(data);
  handlers[event.event]?.(event);
});
feed.addEventListener("error", showGone);
