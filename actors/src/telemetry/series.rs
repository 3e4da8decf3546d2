//! The series that exist from the start, each with 0: one for every value of the closed sets.

use cuecard_cxone::answers::CallOutcome;
use cuecard_engine::ranking::SilenceReason;
use cuecard_engine::{BackendName, WithoutVectors};
use cuecard_ledger::BehindKind;
use cuecard_text::json::Repairs;
use strum::{IntoEnumIterator, VariantArray, VariantNames};

use super::labels::{
    ApiRoute, ApiStatus, CallbackResult, DropReason, Endpoint, FeedbackAction, FeedbackStage, FrameFate, JsonSource,
    PollResult, Port, ProfileState, ShadowResult, TurnedAway,
};
use super::metrics::{ENCODER_REPLACED, LEDGER_RESULTS, Metrics};
use crate::messages::{Outcome, ProfileName, Stage};

impl Metrics {
    /// Makes them.
    pub(super) fn start_at_zero(&self, profiles: &[ProfileName]) {
        for profile in profiles.iter().map(ProfileName::as_str) {
            self.utterances.with_label_values(&[profile]);
            self.redelivered.with_label_values(&[profile]);
            self.card_latency.with_label_values(&[profile]);
            self.feedback_pending.with_label_values(&[profile]);
            self.callbacks_pending.with_label_values(&[profile]);
            self.shedding_level.with_label_values(&[profile]);
            self.encoder_wait.with_label_values(&[profile]);
            self.constraint_failures.with_label_values(&[profile]);
            self.conversation_pushes.with_label_values(&[profile]);
            for outcome in Outcome::LABELS {
                self.cards.with_label_values(&[profile, outcome]);
            }
            for backend in <BackendName as VariantArray>::VARIANTS {
                self.backend_failures.with_label_values(&[profile, backend.name()]);
            }
            for reason in WithoutVectors::VARIANTS.iter().filter(|reason| **reason != WithoutVectors::NotNeeded) {
                self.without_vectors.with_label_values(&[profile, reason.name()]);
            }
            for reason in SilenceReason::ALL {
                self.silences.with_label_values(&[profile, reason.name()]);
            }
            for result in ShadowResult::VARIANTS {
                self.shadows.with_label_values(&[profile, result.name()]);
            }
            for endpoint in Endpoint::VARIANTS {
                self.holds.with_label_values(&[profile, endpoint.name()]);
                self.circuits.with_label_values(&[profile, endpoint.name()]);
                self.failed_requests.with_label_values(&[profile, endpoint.name()]);
            }
            for fate in FrameFate::VARIANTS {
                self.frames.with_label_values(&[profile, fate.name()]);
            }
            for state in ProfileState::VARIANTS {
                self.profile_state.with_label_values(&[profile, state.name()]);
            }
            for result in <CallbackResult<'_> as VariantNames>::VARIANTS {
                self.callbacks.with_label_values(&[profile, *result]);
            }
            for result in PollResult::VARIANTS {
                self.knowledge_polls.with_label_values(&[profile, result.name()]);
            }
            for action in FeedbackAction::VARIANTS {
                self.feedback.with_label_values(&[profile, action.name()]);
            }
            for stage in FeedbackStage::forwarding() {
                self.feedback_forwarding.with_label_values(&[profile, stage.name()]);
            }
        }
        for kind in BehindKind::iter() {
            self.ledger_waiting.with_label_values(&[kind.name()]);
        }
        for result in LEDGER_RESULTS {
            self.ledger_commits.with_label_values(&[result]);
        }
        for reason in ENCODER_REPLACED {
            self.encoder_replaced.with_label_values(&[reason]);
        }
        for source in JsonSource::VARIANTS {
            for (repair, _) in Repairs::default().by_name() {
                self.json_repairs.with_label_values(&[source.into(), repair]);
            }
        }
        for route in ApiRoute::VARIANTS {
            for status in ApiStatus::VARIANTS {
                self.api_requests.with_label_values(&[route.name(), status.name()]);
            }
        }
        for port in Port::VARIANTS {
            for reason in TurnedAway::VARIANTS {
                self.refused_callers.with_label_values(&[port.name(), reason.name()]);
            }
        }
        for stage in Stage::VARIANTS {
            self.stage.with_label_values(&[stage.name()]);
        }
        for endpoint in Endpoint::VARIANTS {
            for status in CallOutcome::LABELS {
                self.requests.with_label_values(&[endpoint.name(), status]);
            }
        }
        for reason in DropReason::VARIANTS {
            self.dropped.with_label_values(&[reason.actor(), reason.name()]);
        }
        self.read_cells();
    }
}
