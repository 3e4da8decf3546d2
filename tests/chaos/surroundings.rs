//! What a night's service stands on: CXone, the place of its ledger, the clock. Troubles come here, and are taken away.

use std::collections::BTreeMap;
use std::rc::Rc;

use cuecard_simulator::{Fault, FaultName, RunningSimulator};
use tempfile::TempDir;

use crate::store::Store;
use crate::trouble::Trouble;

pub struct Surroundings {
    pub simulator: Rc<RunningSimulator>,
    pub store: Store,
    /// What libfaketime reads the time's offset from.
    clock: TempDir,
    /// By the kind of the fault, how many requests were to meet one since faults were taken away last.
    scripted: BTreeMap<FaultName, u64>,
}

impl Surroundings {
    pub fn new(simulator: Rc<RunningSimulator>, store: Store) -> Self {
        let surroundings = Self { simulator, store, clock: TempDir::new().unwrap(), scripted: BTreeMap::new() };
        surroundings.set_clock(0);
        surroundings
    }

    /// The file with the clock's offset.
    pub fn clock(&self) -> String {
        self.clock.path().join("offset").display().to_string()
    }

    fn set_clock(&self, seconds: i64) {
        std::fs::write(self.clock(), format!("{seconds:+}")).unwrap();
    }

    /// Brings a trouble; gives whether it is there now.
    pub async fn bring(&mut self, trouble: &Trouble) -> bool {
        match trouble {
            Trouble::Hub { route, times, every, fault } => {
                let scripted = Fault { route: *route, times: *times, fault: fault.clone() };
                let is_taken = self.simulator.inject_every(*every, scripted);
                if is_taken {
                    *self.scripted.entry(fault.into()).or_default() += u64::from(*times);
                }
                is_taken
            }
            Trouble::StreamEnds(how) => {
                let had_streams = self.simulator.num_streams() > 0;
                self.simulator.end_streams(*how).await;
                had_streams
            }
            Trouble::TokensRevoked => {
                self.simulator.expire_tokens();
                true
            }
            Trouble::DiskFull => self.store.fill_disk(),
            Trouble::LedgerLocked => self.store.hold().await,
            Trouble::DatabaseStopped => self.store.server.as_mut().is_some_and(|server| {
                server.stop();
                true
            }),
            Trouble::ClockJumps(seconds) => {
                self.set_clock(*seconds);
                true
            }
        }
    }

    /// Gives the ledger back.
    pub async fn mend_ledger(&mut self) {
        self.store.free_disk();
        self.store.let_go().await;
        if let Some(server) = &mut self.store.server {
            server.resume().await;
        }
    }

    /// How many requests have met a fault of each kind since faults were taken away last.
    pub fn met(&self) -> BTreeMap<FaultName, u64> {
        let mut met = self.scripted.clone();
        for pending in self.simulator.pending_faults() {
            let left = pending.left.map_or(0, u64::from);
            met.entry((&pending.fault).into()).and_modify(|met| *met = met.saturating_sub(left));
        }
        met
    }

    /// Takes all troubles away; gives how many requests met a fault of each kind.
    pub async fn mend(&mut self) -> BTreeMap<FaultName, u64> {
        let met = self.met();
        self.scripted.clear();
        self.simulator.clear_faults();
        self.mend_ledger().await;
        self.set_clock(0);
        met
    }
}
