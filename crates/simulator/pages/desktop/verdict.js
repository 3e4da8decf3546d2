// What the agent makes of a suggestion: accepted, or rejected with a reason, which travels in the event's action.

import { button, make } from "./dom.js";

/** By the names that the simulator takes. */
const REASONS = {
  wrong_topic: "Wrong topic", wrong_product: "Wrong product", outdated: "Outdated", knew_it: "Knew it", not_now: "Not now",
};

export function actions(interaction, suggestion) {
  const { verdict, reason, learned } = suggestion;
  const note = make("span", "note", verdict && [REASONS[reason], learned ? "stored for training" : "sent to the client"].filter(Boolean).join(" · "));
  note.setAttribute("role", "status");
  note.tabIndex = -1;
  const send = (accepted, why) => judge(interaction, suggestion.id, accepted, why, note);
  const element = make("div", "actions");
  const choice = (name, label, of, pressed) => {
    const chosen = button(`button ${name}`, label, pressed);
    chosen.setAttribute("aria-pressed", String(verdict === of));
    chosen.disabled = verdict !== null;
    return chosen;
  };
  const reject = choice("reject", "Reject", "REJECTED", () => {
    const shown = element.querySelector(".reasons");
    if (shown) return fold(shown, reject);
    const asked = reasons(send, () => fold(asked, reject));
    element.append(asked);
    reject.setAttribute("aria-expanded", "true");
    asked.querySelector("button").focus();
  });
  if (verdict === null) reject.setAttribute("aria-expanded", "false");
  element.append(choice("accept", "Accept", "ACCEPTED", () => send(true)), reject, note);
  return element;
}

/** Asks why; Escape leaves the card as it is. */
function reasons(send, leave) {
  const group = make("div", "reasons", null, make("span", "label", "Why does it not fit?"));
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "Why does it not fit?");
  for (const [name, label] of Object.entries(REASONS)) group.append(button("button small", label, () => send(false, name)));
  group.append(button("button small", "No reason", () => send(false)));
  group.addEventListener("keydown", ({ key }) => key === "Escape" && leave());
  return group;
}

function fold(group, reject) {
  group.remove();
  reject.setAttribute("aria-expanded", "false");
  reject.focus();
}

async function judge(interaction, insightId, accepted, reason, note) {
  note.textContent = "sending …";
  try {
    const answer = await fetch("/_sim/verdict", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ interactionId: interaction.id, clientId: interaction.client, insightId, accepted, reason }),
    });
    if (!answer.ok) note.textContent = (await answer.json()).message;
  } catch {
    note.textContent = "the simulator does not answer";
  }
}
