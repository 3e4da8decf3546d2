// The flow with live rates, made of the totals that the feed tells.

import { byId, make, milliseconds } from "./dom.js";

/** Rates are those of so many seconds. */
const WINDOW_SECONDS = 10;
const samples = [];

const NAMES = { admission: "admitted", extract: "extracted", retrieve: "retrieved", rank: "ranked", inject: "pushed" };
const BAD = new Set(["expired", "shed", "refused", "failed"]);

/** The sample of ten seconds ago, or the oldest since the service started. */
function before(now) {
  // A service that started anew counts from 0 again.
  if (samples.length && samples[samples.length - 1].at_seconds > now.at_seconds) samples.length = 0;
  samples.push(now);
  while (samples.length > 2 && now.at_seconds - samples[1].at_seconds >= WINDOW_SECONDS) samples.shift();
  return samples[0];
}

const rate = (count, seconds) => (seconds > 0 ? `${(count / seconds).toFixed(count / seconds < 10 ? 1 : 0)}/s` : "–");
const mean = (seconds, count) => (count > 0 ? milliseconds((1000 * seconds) / count) : "–");

export function showFlow(now) {
  const then = before(now);
  const seconds = now.at_seconds - then.at_seconds;
  const between = (pick) => pick(now.flow) - pick(then.flow);
  const heard = between((flow) => flow.heard);
  const delivered = between((flow) => flow.delivered.count);
  byId("heard").textContent = rate(heard, seconds);
  byId("cards").textContent = rate(delivered, seconds);
  byId("latency").textContent = mean(between((flow) => flow.delivered.seconds), delivered);
  const judged = now.acceptance && now.acceptance.accepted + now.acceptance.rejected;
  byId("accepted").textContent = judged ? `${Math.round((100 * now.acceptance.accepted) / judged)} %` : "–";
  const boxes = [["heard", rate(heard, seconds), `${now.flow.queued} waiting`]];
  now.flow.stages.forEach((stage, place) => {
    const count = stage.count - then.flow.stages[place].count;
    boxes.push([NAMES[stage.name] ?? stage.name, rate(count, seconds), mean(stage.seconds - then.flow.stages[place].seconds, count)]);
  });
  show("stages", boxes.map(([name, count, took]) => [make("span", "name", name), make("span", "rate", count), make("span", "took", took)]));
  const counts = now.flow.outcomes.map(({ name, count }, place) => [name, count, count - then.flow.outcomes[place].count]);
  show("outcomes", counts.map(([name, count, fresh]) => [make("b", "", count), ` ${name}${fresh ? `, ${rate(fresh, seconds)}` : ""}`]),
    (place) => (BAD.has(counts[place][0]) && counts[place][2] > 0 ? "bad" : ""));
}

/** Puts contents into the items of a list, which stay. */
function show(id, contents, className = () => "") {
  const list = byId(id);
  while (list.childElementCount < contents.length) list.append(make("li"));
  contents.forEach((content, place) => {
    list.children[place].className = className(place);
    list.children[place].replaceChildren(...content);
  });
}
