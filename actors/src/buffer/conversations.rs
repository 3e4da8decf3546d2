//! All conversations of all profiles: which window a word belongs to, and when it becomes an utterance.
//!
//! No actor and no timer in here: time is passed in, utterances are passed out through [`Admit`].

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use cuecard_engine::conversation::{FlushReason, Fragment, Pauses, Speaker, Utterance, Window, WindowLimits};
use tokio::time::Instant;

use super::alarms::Alarms;
use crate::messages::{Heard, InteractionKey, ProfileName, StreamWord};
use crate::supervision::{Keyed, Recovery};
use crate::telemetry::DropReason;

/// Pauses and sizes of the Buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BufferSettings {
    /// When silence flushes a window.
    pub pauses: Pauses,
    /// What one window holds.
    pub limits: WindowLimits,
    /// How long fragments without an interaction wait, after silence would have flushed them, for a state that
    /// names one.
    pub unnamed_wait: Duration,
    /// Conversations held at most.
    pub conversations: usize,
    /// How long an idle conversation is held.
    pub forget_after: Duration,
}

/// Something that was let go, to be counted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) reason: DropReason,
    pub(super) count: u64,
    pub(super) detail: String,
}

/// An utterance that a window gave.
pub(super) struct Flushed<'a> {
    pub(super) key: &'a InteractionKey,
    pub(super) utterance_number: u64,
    pub(super) utterance: Utterance,
    /// When the frame with the last word was received.
    pub(super) heard: Instant,
    pub(super) at: Instant,
}

/// Takes an utterance whose window is still in hand: what panics in here costs that window, and none that waits behind it.
pub(super) type Admit<'a> = &'a dyn Fn(Flushed<'_>);

#[derive(Default)]
struct Conversation {
    window: Window,
    utterances: u64,
}

/// The windows and when each is due.
pub(super) struct Conversations {
    settings: BufferSettings,
    named: Keyed<InteractionKey, Conversation>,
    alarms: Alarms<InteractionKey>,
    /// Fragments of connections that have not named an interaction yet.
    unnamed: HashMap<ProfileName, Window>,
    unnamed_alarms: Alarms<ProfileName>,
}

impl Conversations {
    pub(super) fn new(settings: BufferSettings) -> Self {
        Self {
            settings,
            named: Keyed::new(settings.conversations),
            alarms: Alarms::new(),
            unnamed: HashMap::new(),
            unnamed_alarms: Alarms::new(),
        }
    }

    /// Takes in what a listener heard; an utterance that it completes goes to `admit`.
    pub(super) fn hear(&mut self, heard: Heard, admit: Admit<'_>) -> Vec<Lost> {
        let Heard { profile, received, word } = heard;
        match word {
            // What an earlier connection left belongs to nothing that this one names.
            StreamWord::Connected => self.forget_unnamed(&profile),
            StreamWord::Fragment { interaction, speaker, text } => {
                let fragment = Fragment { speaker, text, arrived: received };
                match interaction {
                    Some(interaction) => {
                        let key = InteractionKey { profile, interaction };
                        self.hear_fragment(&key, fragment, admit)
                    }
                    None => self.hear_unnamed(&profile, fragment),
                }
            }
            StreamWord::TurnEnded { interaction: Some(interaction) } => {
                let unnamed = self.take_unnamed(&profile);
                let key = InteractionKey { profile, interaction };
                self.flush(&key, FlushReason::State, unnamed, received, admit)
            }
            // Without an id it names no window; what the connection buffered waits for one that does.
            StreamWord::TurnEnded { interaction: None } => Vec::new(),
            StreamWord::Utterance { interaction, text } => {
                let key = InteractionKey { profile, interaction };
                let fragment = Fragment { speaker: Speaker::Customer, text, arrived: received };
                let mut lost = self.hear_fragment(&key, fragment, admit);
                lost.extend(self.flush(&key, FlushReason::State, Vec::new(), received, admit));
                lost
            }
            StreamWord::InteractionEnded { interaction } => self.end(&InteractionKey { profile, interaction }),
        }
    }

    /// Forgets a conversation; words that still waited for a pause would bring a card to nobody.
    fn end(&mut self, key: &InteractionKey) -> Vec<Lost> {
        self.alarms.set(key, None);
        let ended = self.named.remove(key);
        ended.and_then(|conversation| unfinished(key, &conversation.window)).into_iter().collect()
    }

    /// What still waits for a pause when the service ends.
    pub(super) fn unfinished(&self) -> Vec<Lost> {
        let named = self.named.iter().filter_map(|(key, conversation)| unfinished(key, &conversation.window));
        let unnamed = self.unnamed.iter().filter_map(|(profile, window)| unfinished(profile, window));
        named.chain(unnamed).collect()
    }

    fn hear_fragment(&mut self, key: &InteractionKey, fragment: Fragment, admit: Admit<'_>) -> Vec<Lost> {
        let (settings, now) = (self.settings, fragment.arrived);
        let ((full, next), evicted) = self.named.with(key, now, |conversation| {
            conversation.window.hear(fragment);
            (conversation.window.is_full(&settings.limits), conversation.window.next_flush(&settings.pauses))
        });
        self.alarms.set(key, next.map(|(at, _)| at));
        let mut lost = self.evicted(evicted);
        if full {
            lost.extend(self.flush(key, FlushReason::Full, Vec::new(), now, admit));
        }
        lost
    }

    fn hear_unnamed(&mut self, profile: &ProfileName, fragment: Fragment) -> Vec<Lost> {
        let window = self.unnamed.entry(profile.clone()).or_default();
        window.hear(fragment);
        let next = window.next_flush(&self.settings.pauses).map(|(at, _)| at + self.settings.unnamed_wait);
        let full = window.is_full(&self.settings.limits);
        self.unnamed_alarms.set(profile, next);
        if full { self.drop_unnamed(profile, "more text without an interaction than fits") } else { Vec::new() }
    }

    fn take_unnamed(&mut self, profile: &ProfileName) -> Vec<Fragment> {
        self.unnamed_alarms.set(profile, None);
        self.unnamed.get_mut(profile).map(Window::take_unflushed).unwrap_or_default()
    }

    fn forget_unnamed(&mut self, profile: &ProfileName) -> Vec<Lost> {
        self.unnamed_alarms.set(profile, None);
        let count = self.unnamed.remove(profile).map_or(0, |window| window.num_unflushed() as u64);
        let lost = Lost {
            reason: DropReason::NoInteraction,
            count,
            detail: format!(
                "{profile}: the connection that they came over was lost before a state named an interaction"
            ),
        };
        (count > 0).then_some(lost).into_iter().collect()
    }

    fn drop_unnamed(&mut self, profile: &ProfileName, detail: &str) -> Vec<Lost> {
        let count = self.take_unnamed(profile).len() as u64;
        vec![Lost { reason: DropReason::NoInteraction, count, detail: format!("{profile}: {detail}") }]
    }

    fn flush(
        &mut self,
        key: &InteractionKey,
        reason: FlushReason,
        others: Vec<Fragment>,
        now: Instant,
        admit: Admit<'_>,
    ) -> Vec<Lost> {
        let limits = self.settings.limits;
        self.alarms.set(key, None);
        if others.is_empty() && !self.named.contains(key) {
            // Nothing is buffered: no conversation shall make room for an empty window.
            return Vec::new();
        }
        let ((), evicted) = self.named.with(key, now, |conversation| {
            let last_word = others.iter().map(|fragment| fragment.arrived).max();
            let heard = conversation.window.last_heard().max(last_word).unwrap_or(now);
            if let Some(utterance) = conversation.window.flush(reason, others, &limits) {
                conversation.utterances += 1;
                let utterance_number = conversation.utterances;
                admit(Flushed { key, utterance_number, utterance, heard, at: now });
            }
        });
        self.evicted(evicted)
    }

    fn evicted(&mut self, evicted: Option<InteractionKey>) -> Vec<Lost> {
        let Some(key) = evicted else { return Vec::new() };
        self.alarms.set(&key, None);
        let detail = format!("{key} made room for another");
        vec![Lost { reason: DropReason::WindowEvicted, count: 1, detail }]
    }

    /// Flushes whatever silence or age has made due.
    pub(super) fn flush_due(&mut self, now: Instant, admit: Admit<'_>) -> Vec<Lost> {
        let mut lost = Vec::new();
        while let Some(key) = self.alarms.pop_due(now) {
            if !self.named.contains(&key) {
                // Forgotten as idle before it was due.
                continue;
            }
            let pauses = self.settings.pauses;
            let (due, _) = self.named.with(&key, now, |conversation| conversation.window.next_flush(&pauses));
            let reason = due.map_or(FlushReason::Pause, |(_, reason)| reason);
            lost.extend(self.flush(&key, reason, Vec::new(), now, admit));
        }
        while let Some(profile) = self.unnamed_alarms.pop_due(now) {
            lost.extend(self.drop_unnamed(&profile, "no state named an interaction in time"));
        }
        lost
    }

    /// When [`Self::flush_due`] has something to do next.
    pub(super) fn next_alarm(&self) -> Option<Instant> {
        self.alarms.next().into_iter().chain(self.unnamed_alarms.next()).min()
    }

    /// Forgets conversations in which nothing happened for long.
    pub(super) fn evict_idle(&mut self, now: Instant) {
        self.named.evict_idle(now, self.settings.forget_after);
    }

    /// After a panic: drops the window in hand, and arms the alarms anew from the windows that are left.
    pub(super) fn recover(&mut self, now: Instant) -> Recovery<InteractionKey> {
        let recovery = self.named.recover(now);
        self.alarms.clear();
        for (key, conversation) in self.named.iter() {
            let next = conversation.window.next_flush(&self.settings.pauses);
            self.alarms.set(key, next.map(|(at, _)| at));
        }
        recovery
    }

    /// Conversations held.
    pub(super) fn len(&self) -> usize {
        self.named.len()
    }
}

/// The words of a window that were never flushed.
fn unfinished(whose: &impl Display, window: &Window) -> Option<Lost> {
    let count = window.num_unflushed() as u64;
    let detail = || format!("{whose} ended before a pause");
    (count > 0).then(|| Lost { reason: DropReason::Unfinished, count, detail: detail() })
}
