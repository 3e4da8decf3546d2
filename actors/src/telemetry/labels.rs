//! Closed sets of what can happen: the values of the metrics' labels.

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameFate {
    /// Understood and handed on.
    Used,
    /// Of a type or state that the contract does not use.
    Ignored,
    /// Not text.
    Binary,
    /// Text that can't be read.
    Malformed,
    /// An id that is empty, too long, or of characters that are not safe.
    BadId,
    /// Larger than the limit.
    TooLarge,
}

impl FrameFate {
    /// Every fate; metrics start each at 0.
    pub const ALL: [Self; 6] = [Self::Used, Self::Ignored, Self::Binary, Self::Malformed, Self::BadId, Self::TooLarge];

    /// The fate's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Ignored => "ignored",
            Self::Binary => "binary",
            Self::Malformed => "malformed",
            Self::BadId => "bad_id",
            Self::TooLarge => "too_large",
        }
    }
}

/// Why an actor let something go that no outcome accounts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Buffer: fragments of a connection that named no interaction in time.
    NoInteraction,
    /// Buffer: a conversation's window was in hand when a handler panicked.
    WindowLost,
    /// Buffer: more conversations than there is room for; the one idle longest went.
    WindowEvicted,
    /// Buffer: words that waited for a pause when their conversation or the service ended.
    Unfinished,
    /// `FeedbackLogger`: CXone will never take this event.
    FeedbackSetAside,
    /// `FeedbackLogger`: an event that no ledger takes any more.
    FeedbackNotStored,
    /// Injector: the record of a delivery that the ledger would not take.
    DeliveryUnrecorded,
}

impl DropReason {
    /// Every reason; metrics start each at 0.
    pub const ALL: [Self; 7] = [
        Self::NoInteraction,
        Self::WindowLost,
        Self::WindowEvicted,
        Self::Unfinished,
        Self::FeedbackSetAside,
        Self::FeedbackNotStored,
        Self::DeliveryUnrecorded,
    ];

    /// The reason's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoInteraction => "no_interaction",
            Self::WindowLost => "window_lost",
            Self::WindowEvicted => "window_evicted",
            Self::Unfinished => "unfinished",
            Self::FeedbackSetAside => "set_aside",
            Self::FeedbackNotStored => "not_stored",
            Self::DeliveryUnrecorded => "unrecorded",
        }
    }

    /// The actor that lets go for this reason.
    pub fn actor(self) -> &'static str {
        match self {
            Self::NoInteraction | Self::WindowLost | Self::WindowEvicted | Self::Unfinished => "buffer",
            Self::FeedbackSetAside | Self::FeedbackNotStored => "feedback_logger",
            Self::DeliveryUnrecorded => "injector",
        }
    }
}

/// An endpoint of CXone, by its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Gives tokens.
    Token,
    /// The transcript stream's handshake.
    Stream,
    /// Takes cards.
    Push,
    /// Takes accepts and rejects.
    Feedback,
    /// Searches the tenant's knowledge.
    Search,
    /// Lists the tenant's articles.
    Articles,
    /// Tells whether a session is locked.
    Session,
}

impl Endpoint {
    /// Every endpoint; metrics start each at 0.
    pub const ALL: [Self; 7] =
        [Self::Token, Self::Stream, Self::Push, Self::Feedback, Self::Search, Self::Articles, Self::Session];

    /// The endpoint's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Stream => "stream",
            Self::Push => "push",
            Self::Feedback => "feedback",
            Self::Search => "search",
            Self::Articles => "articles",
            Self::Session => "session",
        }
    }
}

/// How far an accept or reject got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeedbackStage {
    /// Heard on the stream.
    Heard,
    /// Taken by CXone.
    Forwarded,
    /// Not taken yet; asked again later.
    Postponed,
    /// Refused by CXone for good, and kept.
    SetAside,
}

impl FeedbackStage {
    /// The ends and detours of forwarding; metrics start each at 0.
    pub const FORWARDING: [Self; 3] = [Self::Forwarded, Self::Postponed, Self::SetAside];

    /// The stage's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Forwarded => "forwarded",
            Self::Postponed => "postponed",
            Self::SetAside => "set_aside",
        }
    }
}

/// A route of the HTTP API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApiRoute {
    /// Contract 000.
    Push,
    /// Contract 002.
    Query,
    /// Contract 004.
    Ranking,
    /// A click of contract 004.
    Click,
    /// The figures of contract 004.
    Metrics,
    /// None of these.
    Unknown,
}

impl ApiRoute {
    /// Every route; metrics start each at 0.
    pub const ALL: [Self; 6] = [Self::Push, Self::Query, Self::Ranking, Self::Click, Self::Metrics, Self::Unknown];
    /// The classes of statuses that are told apart.
    pub const STATUSES: [&'static str; 4] = ["2xx", "4xx", "5xx", "other"];

    /// The route's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Query => "query",
            Self::Ranking => "ranking",
            Self::Click => "click",
            Self::Metrics => "metrics",
            Self::Unknown => "unknown",
        }
    }
}

/// How a poll of the tenant's articles ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PollResult {
    /// Nothing changed.
    Unchanged,
    /// A new generation is in service.
    Updated,
    /// It would have wiped out what is known.
    Refused,
    /// No answer, or none that can be used.
    Failed,
}

impl PollResult {
    /// Every result; metrics start each at 0.
    pub const ALL: [Self; 4] = [Self::Unchanged, Self::Updated, Self::Refused, Self::Failed];

    /// The result's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Updated => "updated",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What a profile can do at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProfileState {
    /// All of it.
    Ready,
    /// Some of it: a circuit is open, the stream reconnects.
    Degraded,
    /// Nothing yet.
    Waiting,
}

impl ProfileState {
    /// Every state; metrics show one series each.
    pub const ALL: [Self; 3] = [Self::Ready, Self::Degraded, Self::Waiting];

    /// The state's name in metrics and `/readyz`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Waiting => "waiting",
        }
    }
}

/// How sending the result of a ranking ends; metrics start each at 0.
pub(super) const CALLBACK_RESULTS: [&str; 2] = ["sent", "failed"];
