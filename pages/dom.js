// What the pages make elements and write numbers with. Texts from outside are only ever set as text.

export const byId = (id) => document.getElementById(id);

/** An element with a class, text, and children. */
export function make(tag, className, text, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined && text !== null) element.textContent = text;
  element.append(...children);
  return element;
}

export function button(className, label, pressed) {
  const element = make("button", className, label);
  element.type = "button";
  element.addEventListener("click", pressed);
  return element;
}

export function milliseconds(value) {
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

/** A link for web addresses, text for anything else: no other scheme may run anything. */
export function citation(address) {
  let url = null;
  try {
    url = new URL(address);
  } catch {
    return make("span", "source", address);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") return make("span", "source", address);
  const link = make("a", "source", address);
  link.href = url.href;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  return link;
}
