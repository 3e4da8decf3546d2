#![allow(clippy::unwrap_used)]

mod connections;
mod frames;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Receiver;
use cuecard_cxone::stream::InsightsCodec;
use cuecard_cxone::websocket::{ClosedReason, HandshakeError};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tokio::time::pause;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::health::{Condition, Part, ProfileHealth};
use crate::inbox::bounded;
use crate::messages::TokenError;
use crate::telemetry::ProfileState;
use crate::testing::{Bench, soon, take, until};
