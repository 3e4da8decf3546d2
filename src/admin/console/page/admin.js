// Calls of this port, with the key that it may ask for.

const KEPT_AS = "cuecard-key";

/** Nobody gets an answer until there is another key. */
export class Unauthorized extends Error {}

let key = null;
try {
  key = sessionStorage.getItem(KEPT_AS);
} catch {
  // A browser that keeps nothing asks again after each reload.
}

export function useKey(given) {
  key = given;
  try {
    if (given) sessionStorage.setItem(KEPT_AS, given);
    else sessionStorage.removeItem(KEPT_AS);
  } catch {
    // As above.
  }
}

export const hasKey = () => Boolean(key);

/** An answer; throws where the key does not open the route. */
export async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (key) headers.authorization = `Bearer ${key}`;
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) throw new Unauthorized("no valid key");
  return answer;
}

async function read(answer) {
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail || `answered ${answer.status}`);
  return body;
}

/** What a route says, as JSON; throws with the reason when it refuses. */
export async function get(path) {
  return read(await ask(path));
}

export async function post(path, body) {
  const json = body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return read(await ask(path, { method: "POST", ...json }));
}
