//! Ensures one refresh at a time for each grant within a process. All waiting callers get its
//! outcome.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::model::{GrantId, TenantId};

type Key = (TenantId, GrantId);

/// The refreshes that are in progress in this process, each with an outcome of type `T`.
#[derive(Debug)]
pub(crate) struct InProgress<T> {
    refreshes: Mutex<HashMap<Key, Arc<Running<T>>>>,
}

#[derive(Debug)]
struct Running<T> {
    state: Mutex<State<T>>,
    ended: Condvar,
}

#[derive(Debug)]
enum State<T> {
    Running,
    Done(T),
    /// The leader panicked or returned without an outcome.
    Lost,
}

/// The result of joining a refresh.
#[derive(Debug)]
pub(crate) enum Joined<T> {
    /// The outcome, from this caller's refresh or another's.
    Outcome(T),
    /// The deadline passed first.
    TimedOut,
}

impl<T: Clone> InProgress<T> {
    pub(crate) fn new() -> Self {
        Self {
            refreshes: Mutex::new(HashMap::new()),
        }
    }

    /// Returns whether a refresh of the grant is in progress in this process.
    pub(crate) fn is_running(&self, tenant: &TenantId, id: GrantId) -> bool {
        self.refreshes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&(tenant.clone(), id))
    }

    /// Runs `lead` in any case, and lets other callers join it unless another refresh of the grant
    /// is in progress.
    ///
    /// This is for a caller that already holds the claim: the other refresh waits for the claim, so
    /// this call must not wait for it.
    pub(crate) fn lead(&self, tenant: &TenantId, id: GrantId, lead: impl FnOnce() -> T) -> T {
        let key = (tenant.clone(), id);
        let mut refreshes = self.refreshes.lock().unwrap_or_else(PoisonError::into_inner);
        let Entry::Vacant(free) = refreshes.entry(key.clone()) else {
            drop(refreshes);
            return lead();
        };
        let running = Arc::new(Running::new());
        free.insert(Arc::clone(&running));
        drop(refreshes);
        let finish = Finish {
            all: self,
            key,
            running: &running,
        };
        let outcome = lead();
        finish.finish(outcome.clone());
        outcome
    }

    /// Runs `lead` if no refresh of the grant is in progress; otherwise waits for the one in
    /// progress. If its leader panics, one of the waiting callers becomes the leader.
    pub(crate) fn join(
        &self,
        tenant: &TenantId,
        id: GrantId,
        deadline: Instant,
        lead: impl Fn() -> T,
    ) -> Joined<T> {
        let key = (tenant.clone(), id);
        loop {
            let running = {
                let mut refreshes = self.refreshes.lock().unwrap_or_else(PoisonError::into_inner);
                match refreshes.entry(key.clone()) {
                    Entry::Occupied(leading) => Arc::clone(leading.get()),
                    Entry::Vacant(free) => {
                        let running = Arc::new(Running::new());
                        free.insert(Arc::clone(&running));
                        drop(refreshes);
                        let finish = Finish {
                            all: self,
                            key,
                            running: &running,
                        };
                        let outcome = lead();
                        finish.finish(outcome.clone());
                        return Joined::Outcome(outcome);
                    }
                }
            };
            match running.wait(deadline) {
                Waited::Done(outcome) => return Joined::Outcome(outcome),
                Waited::TimedOut => return Joined::TimedOut,
                Waited::Lost => {}
            }
        }
    }
}

enum Waited<T> {
    Done(T),
    Lost,
    TimedOut,
}

impl<T: Clone> Running<T> {
    const fn new() -> Self {
        Self {
            state: Mutex::new(State::Running),
            ended: Condvar::new(),
        }
    }

    fn wait(&self, deadline: Instant) -> Waited<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*state {
                State::Done(outcome) => return Waited::Done(outcome.clone()),
                State::Lost => return Waited::Lost,
                State::Running => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Waited::TimedOut;
            }
            state = self
                .ended
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Ends the refresh when its leader returns or panics. If the entry outlived its leader, the grant
/// could not be refreshed until the process restarts.
struct Finish<'a, T> {
    all: &'a InProgress<T>,
    key: Key,
    running: &'a Running<T>,
}

impl<T> Finish<'_, T> {
    fn finish(self, outcome: T) {
        *self.running.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Done(outcome);
    }
}

impl<T> Drop for Finish<'_, T> {
    fn drop(&mut self) {
        self.all
            .refreshes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
        let mut state = self.running.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Running) {
            *state = State::Lost;
        }
        drop(state);
        self.running.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// Returns the refreshes of one grant.
    struct Refreshes {
        all: InProgress<u8>,
        tenant: TenantId,
        id: GrantId,
    }

    impl Refreshes {
        fn new() -> Self {
            Self {
                all: InProgress::new(),
                tenant: TenantId::new("acme").unwrap(),
                id: GrantId::from_bytes([1; 16]),
            }
        }

        fn is_running(&self) -> bool {
            self.all.is_running(&self.tenant, self.id)
        }

        fn lead(&self, lead: impl FnOnce() -> u8) -> u8 {
            self.all.lead(&self.tenant, self.id, lead)
        }

        /// Joins with a deadline of half a minute, which is longer than any test runs. `None` if
        /// the deadline passed.
        fn join(&self, lead: impl Fn() -> u8) -> Option<u8> {
            self.join_until(Instant::now() + Duration::from_secs(30), lead)
        }

        fn join_until(&self, deadline: Instant, lead: impl Fn() -> u8) -> Option<u8> {
            match self.all.join(&self.tenant, self.id, deadline, lead) {
                Joined::Outcome(outcome) => Some(outcome),
                Joined::TimedOut => None,
            }
        }

        /// Returns the number of references to the refresh in progress: those of the list, the
        /// leader and all waiting callers.
        fn holders(&self) -> usize {
            Arc::strong_count(&self.all.refreshes.lock().unwrap()[&(self.tenant.clone(), self.id)])
        }
    }

    #[test]
    fn sixty_four_callers_one_leader() {
        let refreshes = Refreshes::new();
        let leads = AtomicUsize::new(0);
        let waiting = AtomicUsize::new(0);
        let start = Barrier::new(64);
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    start.wait();
                    waiting.fetch_add(1, Ordering::SeqCst);
                    let joined = refreshes.join(|| {
                        leads.fetch_add(1, Ordering::SeqCst);
                        // The leader stays until all callers have joined, so that a second run
                        // would be noticed.
                        while waiting.load(Ordering::SeqCst) < 64 || refreshes.holders() < 65 {
                            std::thread::yield_now();
                        }
                        7
                    });
                    assert_eq!(joined, Some(7));
                });
            }
        });
        assert_eq!(leads.load(Ordering::SeqCst), 1);
        assert!(!refreshes.is_running());
    }

    #[test]
    fn a_leader_with_a_claim_is_joined_and_waits_for_nobody() {
        let refreshes = Refreshes::new();
        let outcome = refreshes.lead(|| {
            assert!(refreshes.is_running());
            // A second caller also leads: waiting for the first would mean waiting for its own
            // claim.
            assert_eq!(refreshes.lead(|| 2), 2);
            std::thread::scope(|scope| {
                let joined = scope.spawn(|| refreshes.join_until(Instant::now(), || 3));
                assert_eq!(joined.join().unwrap(), None);
            });
            1
        });
        assert_eq!(outcome, 1);
        assert_eq!(refreshes.join(|| 4), Some(4));
    }

    #[test]
    fn a_leader_that_panics_lets_the_next_one_lead() {
        let refreshes = Refreshes::new();
        let first = catch_unwind(AssertUnwindSafe(|| refreshes.join(|| panic!("in running"))));
        assert!(first.is_err());
        assert_eq!(refreshes.join(|| 2), Some(2));
    }

    #[test]
    fn a_waiter_leaves_at_its_deadline() {
        let refreshes = Refreshes::new();
        let joined = refreshes.join(|| {
            let late = std::thread::scope(|scope| {
                let late = scope.spawn(|| refreshes.join_until(Instant::now(), || 9));
                late.join().unwrap()
            });
            assert_eq!(late, None);
            1
        });
        assert_eq!(joined, Some(1));
    }
}
