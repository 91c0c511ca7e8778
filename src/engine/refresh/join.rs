//! One refresh at a time for each grant within a process; everybody who waits gets its outcome.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::model::{GrantId, TenantId};

type Key = (TenantId, GrantId);

/// The in_progress of a process, each with an outcome of type `T`.
#[derive(Debug)]
pub(crate) struct InProgress<T> {
    in_progress: Mutex<HashMap<Key, Arc<Running<T>>>>,
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

/// How joining a running ended.
#[derive(Debug)]
pub(crate) enum Joined<T> {
    /// The outcome, one's own or another's.
    Outcome(T),
    /// The deadline passed first.
    TimedOut,
}

impl<T: Clone> InProgress<T> {
    pub(crate) fn new() -> Self {
        Self {
            in_progress: Mutex::new(HashMap::new()),
        }
    }

    /// Whether somebody in this process is at it.
    pub(crate) fn is_running(&self, tenant: &TenantId, id: GrantId) -> bool {
        self.in_progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&(tenant.clone(), id))
    }

    /// Runs `lead` in any case, and lets others join it unless another running of the grant is under way.
    ///
    /// For a caller who holds the claim already: that other running waits for the claim, so it is not waited for.
    pub(crate) fn lead(&self, tenant: &TenantId, id: GrantId, lead: impl FnOnce() -> T) -> T {
        let key = (tenant.clone(), id);
        let mut in_progress = self.in_progress.lock().unwrap_or_else(PoisonError::into_inner);
        let Entry::Vacant(free) = in_progress.entry(key.clone()) else {
            drop(in_progress);
            return lead();
        };
        let running = Arc::new(Running::new());
        free.insert(Arc::clone(&running));
        drop(in_progress);
        let finish = Finish {
            in_progress: self,
            key,
            running: &running,
        };
        let outcome = lead();
        finish.finish(outcome.clone());
        outcome
    }

    /// Runs `lead` if nobody is at it, else waits for whoever is. A leader that panics lets the others go: one of
    /// them leads then.
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
                let mut in_progress = self.in_progress.lock().unwrap_or_else(PoisonError::into_inner);
                match in_progress.entry(key.clone()) {
                    Entry::Occupied(leading) => Arc::clone(leading.get()),
                    Entry::Vacant(free) => {
                        let running = Arc::new(Running::new());
                        free.insert(Arc::clone(&running));
                        drop(in_progress);
                        let finish = Finish {
                            in_progress: self,
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

/// Ends the running however its leader leaves, panics included: a map entry that outlives its leader is a
/// grant that nobody refreshes until the process restarts.
struct Finish<'a, T> {
    in_progress: &'a InProgress<T>,
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
        self.in_progress
            .in_progress
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

    fn key() -> (TenantId, GrantId) {
        (TenantId::new("acme").unwrap(), GrantId::from_bytes([1; 16]))
    }

    #[test]
    fn sixty_four_callers_one_leader() {
        let (tenant, id) = key();
        let in_progress = InProgress::new();
        let leads = AtomicUsize::new(0);
        let waiting = AtomicUsize::new(0);
        let start = Barrier::new(64);
        let deadline = Instant::now() + Duration::from_secs(30);
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    start.wait();
                    waiting.fetch_add(1, Ordering::SeqCst);
                    let joined = in_progress.join(&tenant, id, deadline, || {
                        leads.fetch_add(1, Ordering::SeqCst);
                        // The leader stays until everybody has come, so that a second running would show.
                        while waiting.load(Ordering::SeqCst) < 64 {
                            std::thread::yield_now();
                        }
                        while Arc::strong_count(
                            &in_progress.in_progress.lock().unwrap()[&(tenant.clone(), id)],
                        ) < 65
                        {
                            std::thread::yield_now();
                        }
                        7
                    });
                    assert!(matches!(joined, Joined::Outcome(7)));
                });
            }
        });
        assert_eq!(leads.load(Ordering::SeqCst), 1);
        assert!(!in_progress.is_running(&tenant, id));
    }

    #[test]
    fn a_leader_with_a_claim_is_joined_and_waits_for_nobody() {
        let (tenant, id) = key();
        let in_progress: InProgress<u8> = InProgress::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        let outcome = in_progress.lead(&tenant, id, || {
            assert!(in_progress.is_running(&tenant, id));
            // A second one leads besides: waiting for the first would wait for its own claim.
            assert_eq!(in_progress.lead(&tenant, id, || 2), 2);
            std::thread::scope(|scope| {
                let joined = scope.spawn(|| in_progress.join(&tenant, id, Instant::now(), || 3));
                assert!(matches!(joined.join().unwrap(), Joined::TimedOut));
            });
            1
        });
        assert_eq!(outcome, 1);
        assert!(matches!(
            in_progress.join(&tenant, id, deadline, || 4),
            Joined::Outcome(4)
        ));
    }

    #[test]
    fn a_leader_that_panics_lets_the_next_one_lead() {
        let (tenant, id) = key();
        let in_progress: InProgress<u8> = InProgress::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        let first = catch_unwind(AssertUnwindSafe(|| {
            in_progress.join(&tenant, id, deadline, || panic!("in running"))
        }));
        assert!(first.is_err());
        assert!(matches!(
            in_progress.join(&tenant, id, deadline, || 2),
            Joined::Outcome(2)
        ));
    }

    #[test]
    fn a_waiter_leaves_at_its_deadline() {
        let (tenant, id) = key();
        let in_progress: InProgress<u8> = InProgress::new();
        let far = Instant::now() + Duration::from_secs(30);
        let joined = in_progress.join(&tenant, id, far, || {
            let late = std::thread::scope(|scope| {
                scope
                    .spawn(|| in_progress.join(&tenant, id, Instant::now(), || 9))
                    .join()
                    .unwrap()
            });
            assert!(matches!(late, Joined::TimedOut));
            1
        });
        assert!(matches!(joined, Joined::Outcome(1)));
    }
}
