//! The console: a page for an operator's browser, and what it asks of the admin port beside the routes that scripts use.
//!
//! The page itself holds no data and asks nobody for a key; all that it shows comes from routes that do. What it shows all the
//! time comes as one feed of server-sent events; what costs work (a conversation that is tried, what is read of thousands of
//! decisions) is done for one browser at a time.

mod decisions;
mod feed;
mod files;
mod gaps;
mod overview;
mod shadow;
mod trial;

use std::sync::{Arc, Mutex};

use actix_web::HttpResponse;
use actix_web::http::header::RETRY_AFTER;
use actix_web::web::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

pub(super) use feed::{__path_feed, FeedLimits, feed};
pub(super) use files::{__path_file, __path_moved, __path_page, __path_root, file, moved, page, root};
pub(super) use gaps::{__path_list as __path_list_gaps, list as list_gaps};
pub(super) use shadow::{__path_list as __path_list_shadow, list as list_shadow};
pub(super) use trial::{__path_answer as __path_try_out, answer as try_out};

use crate::detail::Detail;

/// Browsers that look at once: each takes a connection and a little work every second.
const MAX_FEEDS: usize = 16;

/// What all open consoles share.
pub(super) struct Console {
    feeds: Arc<Semaphore>,
    /// Held by whoever does what costs work.
    busy: Semaphore,
    /// What the feeds say of the service, and when that was made: they all say the same.
    sample: Mutex<Option<(Instant, Bytes)>>,
}

impl Default for Console {
    fn default() -> Self {
        Self { feeds: Arc::new(Semaphore::new(MAX_FEEDS)), busy: Semaphore::new(1), sample: Mutex::default() }
    }
}

impl Console {
    /// A feed's place, where one is free.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.feeds).try_acquire_owned().ok()
    }
}

/// The answer to whoever finds no place free.
fn too_many() -> HttpResponse {
    let detail = format!("{MAX_FEEDS} consoles are open already; close one that nobody looks at");
    HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, 10)).json(Detail::new(detail))
}
