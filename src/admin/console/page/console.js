// The console: one feed that tells how the service is and what it decides, and a view for each thing that is asked for.

import { ask } from "./admin.js";
import { byId, make } from "./dom.js";
import { askForKey } from "./key.js";
import { Feed } from "./feed.js";
import { showActors } from "./actors.js";
import { OUTCOMES, query, showDecisions, startDecisions } from "./decisions.js";
import { startFinding } from "./finding.js";
import { showFlow } from "./flow.js";
import { showGaps } from "./gaps.js";
import { showChoices, showProfiles } from "./profiles.js";
import { showSettings, startSettings } from "./settings.js";
import { showShadow, showShadowCounts } from "./shadow.js";
import { onView, showView } from "./tabs.js";
import { startTrial } from "./trial.js";

const LOOKS = { ready: "good", degraded: "", waiting: "bad", loading: "", hanging: "bad", stopping: "bad" };

function showLink(text, look) {
  if (byId("link").textContent !== text) {
    byId("link").textContent = text;
    // For whoever does not see it change.
    byId("said").textContent = `The service: ${text}`;
  }
  byId("link").className = `link ${look}`;
}

/** Why the feed tells nothing: a sentence has no room among the figures. */
function showFeed(why, hasOtherKey = false) {
  byId("feed").hidden = !why;
  byId("feed-told").textContent = why;
  byId("other-key").hidden = !hasOtherKey;
}

/** The profiles to choose from, which the probe tells anybody. */
async function showChoicesWithoutFeed() {
  try {
    showChoices((await (await ask("../readyz")).json()).profiles.map(({ profile }) => profile));
  } catch {
    // Then the service does not answer, as whoever tries something will see.
  }
}

const otherKey = (told) => {
  showFeed("");
  askForKey(told, () => feed.start());
};

/** Why the service is not better than it is. */
function showReasons(reasons) {
  byId("reasons").hidden = !reasons.length;
  byId("reasons").replaceChildren(...reasons.map((reason) => make("li", "", reason)));
}

const feed = new Feed(query, {
  state(now) {
    showFeed("");
    showLink(now.readiness.status, LOOKS[now.readiness.status] ?? "");
    showReasons(now.readiness.reasons ?? []);
    byId("version").textContent = `cuecard ${now.version}`;
    showFlow(now);
    showProfiles(now.profiles);
    showActors(now);
    showShadowCounts(now);
  },
  decisions: showDecisions,
  gone(why) {
    showLink(why ? "no feed" : "not reached", "bad");
    showFeed(why);
  },
  refused() {
    showLink("asks for a key", "");
    otherKey();
  },
  forbidden(why) {
    showLink("403", "bad");
    showFeed(`${why}, which the overview and the decisions ask for.`, true);
    showChoicesWithoutFeed();
  },
});

onView("gaps", showGaps);
onView("shadow", showShadow);
onView("settings", showSettings);
byId("gaps-again").addEventListener("click", showGaps);
byId("shadow-again").addEventListener("click", showShadow);
byId("other-key").addEventListener("click", () => otherKey("Give another one."));
startDecisions(OUTCOMES, () => feed.start());
startFinding();
startSettings();
startTrial();
showView();
feed.start();
