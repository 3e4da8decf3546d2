//! Closed sets of what can happen: the values of the metrics' labels.

use strum::{IntoStaticStr, VariantArray, VariantNames};

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum FrameFate {
    /// Understood and handed on.
    Used,
    /// Of a type or state that the contract does not use.
    Ignored,
    /// Binary, and no JSON.
    Binary,
    /// Text that can't be read.
    Malformed,
    /// An id that is empty, too long, or of characters that are not safe.
    BadId,
    /// Larger than the limit.
    TooLarge,
}

impl FrameFate {
    /// The fate's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What a second ranker would have changed for the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ShadowResult {
    /// The same first card.
    Same,
    /// Another first card.
    Different,
    /// A card came that it would not have shown.
    OnlyLive,
    /// It would have shown a card where none came.
    OnlyShadow,
    /// Neither shows anything.
    BothSilent,
}

impl ShadowResult {
    /// The result's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Whose JSON had to be repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum JsonSource {
    /// A frame of the stream.
    Frame,
    /// A page of the tenant's articles.
    Articles,
    /// An answer of the tenant's search.
    Search,
    /// A request to the HTTP API.
    Request,
}

/// Why an actor let something go that no outcome accounts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum DropReason {
    /// Admission: a question of a profile that the settings do not know.
    UnknownProfile,
    /// Decisions: one that came faster than those before it are logged and written down; nobody sees it.
    TapFull,
    /// Decisions: one for which too many waited for the ledger already; it was logged, and is among the newest.
    #[strum(serialize = "not_kept")]
    DecisionNotKept,
    /// Decisions: one about a question that was let go, of which the profile had too many in that second; it is in no log.
    ManyLetGo,
    /// Buffer: fragments of a connection that named no interaction in time.
    NoInteraction,
    /// Buffer: a conversation's window was in hand when a handler panicked.
    WindowLost,
    /// Buffer: more conversations than there is room for; the one idle longest went.
    WindowEvicted,
    /// Buffer: words that waited for a pause when their conversation or the service ended.
    Unfinished,
    /// `FeedbackLogger`: CXone will never take this event.
    #[strum(serialize = "set_aside")]
    FeedbackSetAside,
    /// `FeedbackLogger`: an event that no ledger takes any more.
    #[strum(serialize = "not_stored")]
    FeedbackNotStored,
    /// `FeedbackLogger`: an event about a card of others, heard by a profile that pushes none.
    #[strum(serialize = "not_ours")]
    FeedbackNotOurs,
    /// Injector: the record of a delivery that the ledger would not take.
    #[strum(serialize = "unrecorded")]
    DeliveryUnrecorded,
    /// Injector: an id that CXone gave a push and that is too long to be kept; the push itself counts.
    #[strum(serialize = "long_id")]
    LongCxoneId,
    /// Traces: one that the collector would not take, or that came faster than it takes them.
    #[strum(serialize = "not_exported")]
    TraceNotExported,
}

impl DropReason {
    /// The reason's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The actor that lets go for this reason.
    pub fn actor(self) -> &'static str {
        match self {
            Self::UnknownProfile => "admission",
            Self::TapFull | Self::DecisionNotKept | Self::ManyLetGo => "decisions",
            Self::NoInteraction | Self::WindowLost | Self::WindowEvicted | Self::Unfinished => "buffer",
            Self::FeedbackSetAside | Self::FeedbackNotStored | Self::FeedbackNotOurs => "feedback_logger",
            Self::DeliveryUnrecorded | Self::LongCxoneId => "injector",
            Self::TraceNotExported => "traces",
        }
    }
}

/// An endpoint of CXone, by its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
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
    /// The endpoint's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// How far an accept or reject got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
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
    pub fn forwarding() -> impl Iterator<Item = Self> {
        Self::VARIANTS.iter().copied().filter(|stage| *stage != Self::Heard)
    }

    /// The stage's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What an agent did with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum FeedbackAction {
    /// The card was of use.
    Accepted,
    /// It was not.
    Rejected,
}

impl FeedbackAction {
    /// The action's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl From<bool> for FeedbackAction {
    fn from(accepted: bool) -> Self {
        if accepted { Self::Accepted } else { Self::Rejected }
    }
}

/// Where a card stands in its push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum CardRank {
    /// On top.
    #[strum(serialize = "1")]
    First,
    /// Next.
    #[strum(serialize = "2")]
    Second,
    /// Next.
    #[strum(serialize = "3")]
    Third,
    /// Below.
    Further,
}

impl CardRank {
    /// Every rank with every verdict.
    pub fn with_actions() -> impl Iterator<Item = (Self, FeedbackAction)> {
        let with_actions = |rank: &'static Self| FeedbackAction::VARIANTS.iter().map(|action| (*rank, *action));
        Self::VARIANTS.iter().flat_map(with_actions)
    }

    /// The rank's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Ranks count from 1.
impl From<u32> for CardRank {
    fn from(rank: u32) -> Self {
        match rank {
            0 | 1 => Self::First,
            2 => Self::Second,
            3 => Self::Third,
            _ => Self::Further,
        }
    }
}

/// The classes of statuses of the HTTP API that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ApiStatus {
    /// Answered.
    #[strum(serialize = "2xx")]
    Success,
    /// The caller's mistake.
    #[strum(serialize = "4xx")]
    ClientError,
    /// This service's trouble, or CXone's.
    #[strum(serialize = "5xx")]
    ServerError,
    /// What no handler answers.
    Other,
}

impl ApiStatus {
    /// The class's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl From<u16> for ApiStatus {
    fn from(status: u16) -> Self {
        match status {
            200..=299 => Self::Success,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            _ => Self::Other,
        }
    }
}

/// A route of the HTTP API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
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
    /// What the port says of itself.
    Documentation,
    /// None of these.
    Unknown,
}

impl ApiRoute {
    /// The route's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A port of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Port {
    /// Where agents' desktops and back ends ask.
    Api,
    /// Where operators, probes and scrapers look.
    Admin,
}

impl Port {
    /// The port's name in metrics and in the settings.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Why a caller of a port was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum TurnedAway {
    /// No key was sent.
    NoKey,
    /// A key that nobody knows.
    WrongKey,
    /// The key does not have the right.
    NoRight,
    /// The key is for other profiles.
    OtherProfile,
    /// More requests than the key may send.
    TooMany,
    /// A page of another site, at a port that asks for no key.
    ForeignPage,
}

impl TurnedAway {
    /// The reason's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// How a poll of the tenant's articles ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
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
    /// The result's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What a profile can do at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ProfileState {
    /// All of it.
    Ready,
    /// Some of it: a circuit is open, the stream reconnects.
    Degraded,
    /// Nothing yet.
    Waiting,
}

impl ProfileState {
    /// The state's name in metrics and `/readyz`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What became of a ranking's result that somebody wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum CallbackResult<'a> {
    /// It was taken.
    Sent,
    /// It was not, for this reason.
    Failed(&'a str),
    /// Too many wait already.
    Dropped,
}

impl CallbackResult<'_> {
    /// The result's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}
