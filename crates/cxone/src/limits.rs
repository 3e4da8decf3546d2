//! How long and how large: every bound of the connections to one CXone tenant.
//!
//! A plain struct; [`Limits::default`] is what the service uses when the settings say nothing.

use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// TCP and TLS together; a call's `attempt_timeout` may end it before. Default 5 s.
    pub connect_timeout: Duration,
    /// One attempt of a call from its start, connecting included, to the last byte of its answer. Default 2 s.
    pub attempt_timeout: Duration,
    /// A WebSocket handshake, on top of the time for connecting. Default 5 s.
    pub handshake_timeout: Duration,
    /// An unused connection is closed after this time. Default 55 s: load balancers commonly drop at 60 s, and a
    /// connection that is gone costs an attempt.
    pub keep_alive: Duration,
    /// A server that asks to wait for longer is believed for this long. Default 5 min.
    pub longest_hold: Duration,
    /// The body of an answer. Default 1 MiB.
    pub body_limit_bytes: usize,
    /// The listing of all articles, which is read as a stream. Default 256 MiB.
    pub articles_limit_bytes: usize,
    /// Without a byte of that listing for this long, its reading is given up. Default 60 s.
    pub articles_idle_timeout: Duration,
    /// All of that listing, however it comes: one byte now and then must not hold all later polls. Default 10 min.
    pub articles_timeout: Duration,
    /// A WebSocket message after its continuation frames are joined. Default 1 MiB.
    pub message_limit_bytes: usize,
    /// Between two pings on a WebSocket. Default 20 s.
    pub ping_interval: Duration,
    /// A ping without its pong for this long means that the peer is gone. Default 10 s.
    pub pong_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(2),
            handshake_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(55),
            longest_hold: Duration::from_mins(5),
            body_limit_bytes: 1 << 20,
            articles_limit_bytes: 256 << 20,
            articles_idle_timeout: Duration::from_mins(1),
            articles_timeout: Duration::from_mins(10),
            message_limit_bytes: 1 << 20,
            ping_interval: Duration::from_secs(20),
            pong_timeout: Duration::from_secs(10),
        }
    }
}
