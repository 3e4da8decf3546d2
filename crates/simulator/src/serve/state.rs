//! What a simulator remembers, per tenant and over all.
//!
//! Input: frames, questions and pushes of one client. Output: consistent changes of that client's interactions, of the desk and
//! of a replay's account. Interactions, idempotency keys and turns belong to the client whose token named them: two
//! clients with the same interaction ids don't cross.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::idempotency::IdempotencyKeys;
use super::interactions::{Interactions, Standing, TurnOutcome};
use super::record::Record;
use super::script::FaultScript;
use super::settings::SimulatorSettings;
use super::streams::{Audience, Streams};
use super::tally::Tally;
use super::tokens::Tokens;
use crate::base::frames::Told;
use crate::base::turns::Attribution;
use crate::desktop::{Counts, Desk, Of, Push};

/// Sessions locked at once; a script that locks more has forgotten to unlock.
const MAX_LOCKED: usize = 10_000;

/// What belongs to one client.
#[derive(Default)]
pub(crate) struct Tenant {
    pub(crate) interactions: Interactions,
    pub(crate) keys: IdempotencyKeys,
}

/// How much there was of everything, over all clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) turns: u64,
    /// Turns that have their card.
    pub(crate) cards: u64,
    /// Pushes to an interaction in which every turn had its card already.
    pub(crate) duplicates: u64,
    /// Pushes to an interaction in which no turn had ended.
    pub(crate) unprompted: u64,
}

/// What the lock of the hub guards.
pub(crate) struct State {
    pub(crate) tokens: Tokens,
    pub(crate) faults: FaultScript,
    pub(crate) record: Record,
    pub(crate) streams: Streams,
    pub(crate) desk: Desk,
    pub(crate) tally: Option<Tally>,
    pub(crate) totals: Totals,
    tenants: BTreeMap<Arc<str>, Tenant>,
    locked: BTreeSet<String>,
    num_answers: u64,
}

impl State {
    /// One tenant for each client, who knows the interactions that are there from the start.
    pub(crate) fn new(settings: &SimulatorSettings, now: Instant) -> Self {
        let mut tenants: BTreeMap<Arc<str>, Tenant> = BTreeMap::new();
        for client in &settings.clients {
            let tenant = tenants.entry(client.id.as_str().into()).or_default();
            settings.interactions.iter().for_each(|id| tenant.interactions.open(id, now));
        }
        Self {
            tokens: Tokens::default(),
            faults: FaultScript::default(),
            record: Record::new(settings.record_limit),
            streams: Streams::default(),
            desk: Desk::default(),
            tally: None,
            totals: Totals::default(),
            tenants,
            locked: BTreeSet::new(),
            num_answers: 0,
        }
    }

    /// The tenant of a client; one that the settings don't have never got a token.
    pub(crate) fn tenant(&mut self, client: &Arc<str>) -> &mut Tenant {
        self.tenants.entry(Arc::clone(client)).or_default()
    }

    pub(crate) fn standing(&self, client: &str, id: &str) -> Standing {
        self.tenants.get(client).map_or(Standing::Unknown, |tenant| tenant.interactions.standing(id))
    }

    /// Whether a client other than `client` has a live interaction of that id.
    pub(crate) fn belongs_to_another(&self, client: &str, id: &str) -> bool {
        let mut others = self.tenants.iter().filter(|(other, _)| &***other != client);
        others.any(|(_, tenant)| tenant.interactions.standing(id) == Standing::Live)
    }

    /// Whether any client has heard of that id.
    pub(crate) fn is_known(&self, id: &str) -> bool {
        self.tenants.values().any(|tenant| tenant.interactions.standing(id) != Standing::Unknown)
    }

    /// The clients in `audience` that know that id.
    pub(crate) fn knowing(&self, audience: &Audience, id: &str) -> Vec<Arc<str>> {
        let knows = |(client, tenant): &(&Arc<str>, &Tenant)| {
            let meant = audience.client_id.as_deref().is_none_or(|wanted| wanted == &***client);
            meant && tenant.interactions.standing(id) != Standing::Unknown
        };
        self.tenants.iter().filter(knows).map(|(client, _)| Arc::clone(client)).collect()
    }

    /// Makes an interaction known to every client.
    pub(crate) fn open_interaction(&mut self, id: &str, now: Instant) {
        self.tenants.values_mut().for_each(|tenant| tenant.interactions.open(id, now));
    }

    /// Marks an interaction as ended for whoever looks; pushes for it are taken as before.
    pub(crate) fn show_ended(&mut self, audience: &Audience, id: &str) {
        for client in self.knowing(audience, id) {
            self.desk.end(Of { client: &client, id });
        }
    }

    /// Refuses further pushes for an interaction to every client in `audience`; false when it was live for none.
    pub(crate) fn end_interaction(&mut self, audience: &Audience, id: &str, now: Instant) -> bool {
        self.show_ended(audience, id);
        let mut was_live = false;
        for client in self.knowing(audience, id) {
            was_live |= self.tenant(&client).interactions.end(id, now);
        }
        was_live
    }

    /// Takes note of a frame that goes to a client.
    pub(crate) fn note_frame(&mut self, client: &Arc<str>, frame: &Value, now: Instant) {
        let frame = &Told::read(frame);
        let ended_turn = self.tenant(client).interactions.note_frame(frame, now);
        if ended_turn.is_some() {
            self.count_turn();
        }
        self.desk.note_frame(client, frame, ended_turn);
    }

    fn count_turn(&mut self) {
        self.totals.turns += 1;
        if let Some(tally) = &mut self.tally {
            tally.turn_ended();
        }
    }

    /// Takes note of a question that a client is asked over HTTP; the number of its turn.
    pub(crate) fn note_question(&mut self, client: &Arc<str>, id: &str, text: &str, now: Instant) -> usize {
        let number = self.tenant(client).interactions.end_turn(id, now);
        self.count_turn();
        self.desk.note_question(Of { client, id }, text, number);
        number
    }

    /// Gives a push to the turn that it answers, and shows it. `fingerprint` is equal for identical cards.
    pub(crate) fn place(&mut self, of: Of<'_>, push: Push, fingerprint: u64, now: Instant) -> Attribution {
        let attribution = self.tenant(of.client).interactions.place(of.id, fingerprint, now);
        match attribution {
            Attribution::Turn { ended_at, after, .. } => {
                self.totals.cards += 1;
                if let Some(tally) = &mut self.tally {
                    tally.card_came(ended_at, after, now);
                }
            }
            Attribution::Duplicate => self.totals.duplicates += 1,
            Attribution::Unprompted => self.totals.unprompted += 1,
        }
        self.desk.show(of, push, attribution);
        attribution
    }

    /// Locks a session for every client; false when too many are.
    pub(crate) fn lock_session(&mut self, id: &str) -> bool {
        if self.locked.len() == MAX_LOCKED && !self.locked.contains(id) {
            return false;
        }
        self.locked.insert(id.to_owned());
        true
    }

    /// False when it was not locked.
    pub(crate) fn unlock_session(&mut self, id: &str) -> bool {
        self.locked.remove(id)
    }

    pub(crate) fn is_locked(&self, id: &str) -> bool {
        self.locked.contains(id)
    }

    pub(crate) fn locked_sessions(&self) -> impl Iterator<Item = &str> {
        self.locked.iter().map(String::as_str)
    }

    /// A number that no answer has had before.
    pub(crate) fn next_answer(&mut self) -> u64 {
        self.num_answers += 1;
        self.num_answers
    }

    /// Every ended turn of every client.
    pub(crate) fn turns(&self) -> Vec<TurnOutcome> {
        self.tenants.iter().flat_map(|(client, tenant)| tenant.interactions.turns(client)).collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        let Totals { turns, cards, duplicates, .. } = self.totals;
        let streams = self.streams.num_listening(&Audience::default());
        Counts { streams, turns, cards, duplicates, violations: self.record.num_violations() }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::web::Bytes;

    use super::*;
    use crate::base::contracts::Route;
    use crate::serve::settings::Client;
    use serde_json::json;

    fn push() -> Push {
        Push { route: Route::Rag, body: Bytes::new(), decision: None }
    }

    #[test]
    fn two_clients_with_the_same_interaction_don_t_cross() {
        let now = Instant::now();
        let clients = vec![Client::with_all_scopes("a", "x"), Client::with_all_scopes("b", "x")];
        let mut state = State::new(&SimulatorSettings { clients, ..SimulatorSettings::default() }, now);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let frame = |kind: &str| json!({"type": kind, "state": "TURN_END", "text": "x", "interactionId": "i", "participant": "CUSTOMER"});
        for kind in ["TRANSCRIPT_FRAGMENT", "DIALOG_STATE"] {
            state.note_frame(&a, &frame(kind), now);
        }
        assert_eq!((state.standing("a", "i"), state.standing("b", "i")), (Standing::Live, Standing::Unknown));
        assert!(state.belongs_to_another("b", "i") && !state.belongs_to_another("a", "i"));
        let mut place = |client| state.place(Of { client, id: "i" }, push(), 1, now);
        assert_eq!(place(&b), Attribution::Unprompted);
        assert!(matches!(place(&a), Attribution::Turn { number: 1, .. }));
        assert_eq!(place(&a), Attribution::Duplicate);
        assert_eq!(state.totals, Totals { turns: 1, cards: 1, duplicates: 1, unprompted: 1 });
        assert!(!state.end_interaction(&Audience::client("b"), "i", now));
        assert!(state.end_interaction(&Audience::default(), "i", now));
        assert!(state.is_known("i") && !state.is_known("j"));
    }

    #[test]
    fn a_tally_counts_frames_and_questions() {
        let now = Instant::now();
        let mut state = State::new(&SimulatorSettings::default(), now);
        let client: Arc<str> = "a".into();
        state.tally = Some(Tally::begin(now));
        state.note_question(&client, "i", "where is it", now);
        let data = json!({"id": "i", "state": "active", "channels": [{"transcript": "and now"}]});
        state.note_frame(&client, &json!({"type": "interaction", "data": data}), now);
        state.place(Of { client: &client, id: "i" }, push(), 1, now);
        let seen = state.tally.as_ref().map(|tally| (tally.num_turns(), tally.num_cards()));
        assert_eq!((seen, state.turns().len()), (Some((2, 1)), 2));
    }
}
