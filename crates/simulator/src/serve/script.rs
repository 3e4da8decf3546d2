//! The faults still to come, in order per route.
//!
//! Input: faults, and the news that a request arrived. Output: what that request meets. Bounded: one route holds so many
//! faults, a further one is refused. Pure.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::faults::{Fault, FaultKind, UNTIL_CLEARED};
use crate::base::contracts::Route;

/// A script longer than this on one route is a program that went wrong.
const MAX_FAULTS: usize = 1000;

/// A fault that requests still meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PendingFault {
    /// Where.
    pub route: Route,
    /// How many requests will still meet it; `None` until it is cleared.
    pub left: Option<u32>,
    /// Of so many requests only the last meets it; 1 for all.
    pub every: u32,
    /// What they meet.
    pub fault: FaultKind,
}

struct Scripted {
    left: u32,
    every: u32,
    /// Requests that passed since one met it.
    passed: u32,
    fault: FaultKind,
}

/// The script.
#[derive(Default)]
pub(crate) struct FaultScript {
    queues: BTreeMap<Route, VecDeque<Scripted>>,
}

impl FaultScript {
    /// Adds a fault behind those of its route; false when there are too many.
    pub(crate) fn add(&mut self, fault: Fault, every: u32) -> bool {
        if fault.times == 0 {
            return true;
        }
        let queue = self.queues.entry(fault.route).or_default();
        if queue.len() == MAX_FAULTS {
            return false;
        }
        queue.push_back(Scripted { left: fault.times, every: every.max(1), passed: 0, fault: fault.fault });
        true
    }

    /// What the next request on `route` meets, used up by this call.
    pub(crate) fn take(&mut self, route: Route) -> Option<FaultKind> {
        let queue = self.queues.get_mut(&route)?;
        let next = queue.front_mut()?;
        next.passed += 1;
        if next.passed < next.every {
            return None;
        }
        next.passed = 0;
        let fault = next.fault.clone();
        if next.left != UNTIL_CLEARED {
            next.left -= 1;
        }
        if next.left == 0 {
            queue.pop_front();
        }
        Some(fault)
    }

    /// Forgets the faults of one route, or of all.
    pub(crate) fn clear(&mut self, route: Option<Route>) {
        match route {
            Some(route) => drop(self.queues.remove(&route)),
            None => self.queues.clear(),
        }
    }

    /// What is still to come.
    pub(crate) fn pending(&self) -> Vec<PendingFault> {
        let of_route = |(route, queue): (&Route, &VecDeque<Scripted>)| {
            let pending = |scripted: &Scripted| PendingFault {
                route: *route,
                left: (scripted.left != UNTIL_CLEARED).then_some(scripted.left),
                every: scripted.every,
                fault: scripted.fault.clone(),
            };
            queue.iter().map(pending).collect::<Vec<_>>()
        };
        self.queues.iter().flat_map(of_route).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(script: &mut FaultScript, route: Route, times: u32, every: u32, status: u16) -> bool {
        script.add(Fault { route, times, fault: FaultKind::status(status) }, every)
    }

    fn take(script: &mut FaultScript, route: Route) -> Option<u16> {
        match script.take(route) {
            Some(FaultKind::Answer { status, .. }) => Some(status),
            _ => None,
        }
    }

    #[test]
    fn faults_come_in_order_and_run_out() {
        let mut script = FaultScript::default();
        add(&mut script, Route::Insights, 2, 1, 500);
        add(&mut script, Route::Insights, 0, 1, 501);
        add(&mut script, Route::Insights, 1, 1, 429);
        add(&mut script, Route::Token, 1, 1, 401);
        let insights: Vec<_> = (0..4).map(|_| take(&mut script, Route::Insights)).collect();
        assert_eq!(insights, [Some(500), Some(500), Some(429), None]);
        assert_eq!(take(&mut script, Route::Token), Some(401));
        assert_eq!(take(&mut script, Route::Feedback), None);
    }

    #[test]
    fn every_second_request_and_until_cleared() {
        let mut script = FaultScript::default();
        add(&mut script, Route::Rag, UNTIL_CLEARED, 2, 429);
        add(&mut script, Route::Graph, 1, 3, 500);
        let rag: Vec<_> = (0..5).map(|_| take(&mut script, Route::Rag)).collect();
        assert_eq!(rag, [None, Some(429), None, Some(429), None]);
        let graph: Vec<_> = (0..4).map(|_| take(&mut script, Route::Graph)).collect();
        assert_eq!(graph, [None, None, Some(500), None]);
        let pending = script.pending();
        assert_eq!((pending.len(), pending[0].left, pending[0].every), (1, None, 2));
        script.clear(Some(Route::Rag));
        assert!(script.pending().is_empty());
    }

    #[test]
    fn a_script_without_end_is_refused() {
        let mut script = FaultScript::default();
        assert!((0..MAX_FAULTS).all(|_| add(&mut script, Route::Rag, 1, 1, 500)));
        assert!(!add(&mut script, Route::Rag, 1, 1, 500));
        assert!(add(&mut script, Route::Graph, 1, 1, 500));
        script.clear(None);
        assert!(add(&mut script, Route::Rag, 1, 1, 500));
    }
}
