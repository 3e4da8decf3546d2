// Calls of this port, with the key that it may ask for.

const KEPT_AS = "cuecard-key";

/** Nobody gets an answer until there is another key. */
export class Unauthorized extends Error {}

/** The key is one, and opens other routes than this. */
export class Forbidden extends Error {}

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

/** Why an answer is a refusal. */
export async function refusal(answer) {
  const { detail } = await answer.json().catch(() => ({}));
  return new (answer.status === 403 ? Forbidden : Error)(detail || `answered ${answer.status}`);
}

async function read(answer) {
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

/** What a route says, as JSON; throws with the reason when it refuses. */
export async function get(path) {
  return read(await ask(path));
}

export async function post(path, body) {
  const json = body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return read(await ask(path, { method: "POST", ...json }));
}
