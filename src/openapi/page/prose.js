// Descriptions as they are written in the document: what stands between backticks is code.

import { make } from "./dom.js";

/** An element with a description. */
export function prose(tag, className, text) {
  const parts = (text ?? "").split("`").map((part, place) => (place % 2 ? make("code", "", part) : part));
  return make(tag, className, null, ...parts);
}
