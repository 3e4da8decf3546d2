//! What CXone's streams send.

use cuecard_cxone::stream::{Roles, Step, StreamEvent, StreamKind, read_frame};
use strum::VariantArray;
use tokio::time::Instant;

/// A byte that is no UTF-8 becomes a character of three.
const MOST_GROWTH: usize = 3;

/// Frames, one a line, as the protocol of each stream hears them over one connection.
pub fn stream_frames(input: &[u8]) {
    for &kind in StreamKind::VARIANTS {
        let mut protocol = kind.protocol(Roles::default());
        let now = Instant::now();
        for line in input.split(|byte| *byte == b'\n') {
            let Ok(frame) = read_frame(line) else { continue };
            let Ok(step) = protocol.on_frame(&frame.value, now) else { continue };
            check(&step, line.len());
            if kind == StreamKind::Snippets {
                let again = protocol.on_frame(&frame.value, now);
                let is_new = |event: &StreamEvent| matches!(event, StreamEvent::Utterance { .. });
                assert!(!again.is_ok_and(|step| step.heard.iter().any(is_new)), "the same words were heard twice");
            }
        }
    }
}

fn check(step: &Step, num_bytes: usize) {
    assert!(step.heard.is_empty() || step.ignored.is_none(), "a frame that is of no use was heard: {step:?}");
    assert!(step.send.is_empty(), "these streams are only listened to");
    for event in &step.heard {
        match event {
            StreamEvent::Fragment { text, .. } | StreamEvent::Utterance { text, .. } => {
                assert!(!text.is_blank(), "nothing was said, and heard");
                assert!(text.num_bytes() <= num_bytes * MOST_GROWTH, "{} bytes of {num_bytes}", text.num_bytes());
            }
            StreamEvent::Feedback { insight, action, .. } => {
                assert!(!insight.is_empty() && insight.len() <= 1024 && !action.verbatim().is_empty());
            }
            StreamEvent::DialogState { .. } | StreamEvent::InteractionEnded { .. } => {}
        }
    }
}
