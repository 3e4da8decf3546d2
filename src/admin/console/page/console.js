// The console: one feed that tells how the service is and what it decides, and a view for each thing that is asked for.

import { byId, make } from "./dom.js";
import { askForKey } from "./key.js";
import { Feed } from "./feed.js";
import { showActors } from "./actors.js";
import { OUTCOMES, query, showDecisions, startDecisions } from "./decisions.js";
import { showFlow } from "./flow.js";
import { showGaps } from "./gaps.js";
import { showProfiles } from "./profiles.js";
import { showSettings, startSettings } from "./settings.js";
import { showShadow, showShadowCounts } from "./shadow.js";
import { onView, showView } from "./tabs.js";
import { startTrial } from "./trial.js";

const LOOKS = { ready: "good", degraded: "", waiting: "bad", loading: "", stopping: "bad" };

function showLink(text, look) {
  if (byId("link").textContent !== text) {
    byId("link").textContent = text;
    // For whoever does not see it change.
    byId("said").textContent = `The service: ${text}`;
  }
  byId("link").className = `link ${look}`;
}

/** Why the service is not better than it is. */
function showReasons(reasons) {
  byId("reasons").hidden = !reasons.length;
  byId("reasons").replaceChildren(...reasons.map((reason) => make("li", "", reason)));
}

const feed = new Feed(query, {
  state(now) {
    showLink(now.readiness.status, LOOKS[now.readiness.status] ?? "");
    showReasons(now.readiness.reasons ?? []);
    byId("version").textContent = `cuecard ${now.version}`;
    showFlow(now);
    showProfiles(now.profiles);
    showActors(now);
    showShadowCounts(now);
  },
  decisions: showDecisions,
  gone(reason) {
    showLink(reason, "bad");
  },
  refused() {
    showLink("asks for a key", "");
    askForKey(() => feed.start());
  },
});

onView("gaps", showGaps);
onView("shadow", showShadow);
onView("settings", showSettings);
byId("gaps-again").addEventListener("click", showGaps);
byId("shadow-again").addEventListener("click", showShadow);
startDecisions(OUTCOMES, () => feed.start());
startSettings();
startTrial();
showView();
feed.start();
