//! Being told twice: whoever does not want to wait for the drain sends a second signal.

use std::time::Duration;

use cuecard_simulator::{Fault, FaultKind, Route};
use tempfile::TempDir;

use crate::support::{Process, environment, say, simulator, until};

const DOG: &str = "Can I take my dog on board, and does he need a cabin?";

#[actix_rt::test]
async fn a_second_signal_in_the_drain_ends_the_process_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let simulator = simulator();
        let data = TempDir::new().unwrap();
        // Whatever ends this process within the test's patience, it is not the drain.
        let overrides = [
            ("CUECARD__CXONE__ATTEMPT_TIMEOUT", "1h"),
            ("CUECARD__PROFILE__DEADLINE", "1h"),
            ("CUECARD__SHUTDOWN__GRACE", "1h"),
        ];
        let mut service = Process::serve(&environment(&simulator.base_url(), data.path(), &overrides));
        until(&simulator, "the service listens", |simulator| simulator.num_streams() == 1).await;
        let slow = FaultKind::Delay { by: Duration::from_hours(1) };
        simulator.inject(Fault { route: Route::Insights, times: 1, fault: slow });
        say(&simulator, "call-1", DOG).await;
        service.admin.until_pushing(&simulator).await;
        service.signal(first);
        until(&simulator, "the drain has begun", |simulator| simulator.num_streams() == 0).await;
        service.admin.until_profile("readiness is gone", |status, _| status == 503).await;
        service.signal(second);
        assert_eq!(service.ended().await.code(), Some(130), "{first} {second}");
    }
}
