// The feed of server-sent events, read by fetch since an EventSource sends no key. The service ends it now and then, and
// whoever still looks asks for the next one; nobody asks while nobody looks.

import { ask, Forbidden, refusal, Unauthorized } from "./admin.js";

/** After an end in order, so that one that ends at once is no loop. */
const SOON_MS = 250;
const MOST_MS = 5000;

export class Feed {
  /** `query` says what is asked for now; `handlers` has a function for each event, and `gone`, `refused` and `forbidden`. */
  constructor(query, handlers) {
    this.query = query;
    this.handlers = handlers;
    this.wait = SOON_MS;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.stop() : this.start()));
  }

  start() {
    this.stop();
    if (document.hidden) return;
    this.under = new AbortController();
    this.read(this.under.signal);
  }

  stop() {
    this.under?.abort();
    clearTimeout(this.later);
  }

  async read(signal) {
    try {
      const answer = await ask(`feed?${this.query()}`, { signal });
      if (!answer.ok) throw await refusal(answer);
      await this.events(answer.body, signal);
      this.wait = SOON_MS;
    } catch (error) {
      if (signal.aborted) return;
      // The same key would be refused for ever.
      if (error instanceof Unauthorized) return this.handlers.refused();
      if (error instanceof Forbidden) return this.handlers.forbidden(error.message);
      this.wait = Math.min(2 * this.wait, MOST_MS);
      this.handlers.gone(error instanceof TypeError ? "" : error.message);
    }
    if (!signal.aborted) this.later = setTimeout(() => this.start(), this.wait);
  }

  async events(body, signal) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done || signal.aborted) return;
      text += value;
      const whole = text.split("\n\n");
      text = whole.pop();
      whole.forEach((event) => this.handle(event));
    }
  }

  handle(event) {
    const [, name, data] = /^event: (\w+)\ndata: (.*)$/s.exec(event) ?? [];
    this.handlers[name]?.(JSON.parse(data));
  }
}
