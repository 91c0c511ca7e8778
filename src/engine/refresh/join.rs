//! One refresh at a time for each grant within a process; everybody who waits gets its outcome.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::model::{GrantId, TenantId};

type Key = (TenantId, GrantId);

/// The flights of a process, each with an outcome of type `T`.
#[derive(Debug)]
pub(crate) struct Flights<T> {
    flights: Mutex<HashMap<Key, Arc<Flight<T>>>>,
}

#[derive(Debug)]
struct Flight<T> {
    state: Mutex<State<T>>,
    ended: Condvar,
}

#[derive(Debug)]
enum State<T> {
    Flying,
    Landed(T),
    /// The leader panicked or returned without an outcome.
    Lost,
}

/// How joining a flight ended.
#[derive(Debug)]
pub(crate) enum Joined<T> {
    /// The outcome, one's own or another's.
    Outcome(T),
    /// The deadline passed first.
    TimedOut,
}

impl<T: Clone> Flights<T> {
    pub(crate) fn new() -> Self {
        Self {
            flights: Mutex::new(HashMap::new()),
        }
    }

    /// Whether somebody in this process is at it.
    pub(crate) fn is_flying(&self, tenant: &TenantId, id: GrantId) -> bool {
        self.flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&(tenant.clone(), id))
    }

    /// Runs `lead` in any case, and lets others join it unless another flight of the grant is under way.
    ///
    /// For a caller who holds the claim already: that other flight waits for the claim, so it is not waited for.
    pub(crate) fn lead(&self, tenant: &TenantId, id: GrantId, lead: impl FnOnce() -> T) -> T {
        let key = (tenant.clone(), id);
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let Entry::Vacant(free) = flights.entry(key.clone()) else {
            drop(flights);
            return lead();
        };
        let flight = Arc::new(Flight::new());
        free.insert(Arc::clone(&flight));
        drop(flights);
        let landing = Landing {
            flights: self,
            key,
            flight: &flight,
        };
        let outcome = lead();
        landing.land(outcome.clone());
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
            let flight = {
                let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
                match flights.entry(key.clone()) {
                    Entry::Occupied(flying) => Arc::clone(flying.get()),
                    Entry::Vacant(free) => {
                        let flight = Arc::new(Flight::new());
                        free.insert(Arc::clone(&flight));
                        drop(flights);
                        let landing = Landing {
                            flights: self,
                            key,
                            flight: &flight,
                        };
                        let outcome = lead();
                        landing.land(outcome.clone());
                        return Joined::Outcome(outcome);
                    }
                }
            };
            match flight.wait(deadline) {
                Waited::Landed(outcome) => return Joined::Outcome(outcome),
                Waited::TimedOut => return Joined::TimedOut,
                Waited::Lost => {}
            }
        }
    }
}

enum Waited<T> {
    Landed(T),
    Lost,
    TimedOut,
}

impl<T: Clone> Flight<T> {
    const fn new() -> Self {
        Self {
            state: Mutex::new(State::Flying),
            ended: Condvar::new(),
        }
    }

    fn wait(&self, deadline: Instant) -> Waited<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*state {
                State::Landed(outcome) => return Waited::Landed(outcome.clone()),
                State::Lost => return Waited::Lost,
                State::Flying => {}
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

/// Ends the flight however its leader leaves, panics included: a map entry that outlives its leader is a
/// grant that nobody refreshes until the process restarts.
struct Landing<'a, T> {
    flights: &'a Flights<T>,
    key: Key,
    flight: &'a Flight<T>,
}

impl<T> Landing<'_, T> {
    fn land(self, outcome: T) {
        *self.flight.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Landed(outcome);
    }
}

impl<T> Drop for Landing<'_, T> {
    fn drop(&mut self) {
        self.flights
            .flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
        let mut state = self.flight.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Flying) {
            *state = State::Lost;
        }
        drop(state);
        self.flight.ended.notify_all();
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
        let flights = Flights::new();
        let leads = AtomicUsize::new(0);
        let waiting = AtomicUsize::new(0);
        let start = Barrier::new(64);
        let deadline = Instant::now() + Duration::from_secs(30);
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    start.wait();
                    waiting.fetch_add(1, Ordering::SeqCst);
                    let joined = flights.join(&tenant, id, deadline, || {
                        leads.fetch_add(1, Ordering::SeqCst);
                        // The leader stays until everybody has come, so that a second flight would show.
                        while waiting.load(Ordering::SeqCst) < 64 {
                            std::thread::yield_now();
                        }
                        while Arc::strong_count(&flights.flights.lock().unwrap()[&(tenant.clone(), id)]) < 65
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
        assert!(!flights.is_flying(&tenant, id));
    }

    #[test]
    fn a_leader_with_a_claim_is_joined_and_waits_for_nobody() {
        let (tenant, id) = key();
        let flights: Flights<u8> = Flights::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        let outcome = flights.lead(&tenant, id, || {
            assert!(flights.is_flying(&tenant, id));
            // A second one leads besides: waiting for the first would wait for its own claim.
            assert_eq!(flights.lead(&tenant, id, || 2), 2);
            std::thread::scope(|scope| {
                let joined = scope.spawn(|| flights.join(&tenant, id, Instant::now(), || 3));
                assert!(matches!(joined.join().unwrap(), Joined::TimedOut));
            });
            1
        });
        assert_eq!(outcome, 1);
        assert!(matches!(
            flights.join(&tenant, id, deadline, || 4),
            Joined::Outcome(4)
        ));
    }

    #[test]
    fn a_leader_that_panics_lets_the_next_one_lead() {
        let (tenant, id) = key();
        let flights: Flights<u8> = Flights::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        let first = catch_unwind(AssertUnwindSafe(|| {
            flights.join(&tenant, id, deadline, || panic!("in flight"))
        }));
        assert!(first.is_err());
        assert!(matches!(
            flights.join(&tenant, id, deadline, || 2),
            Joined::Outcome(2)
        ));
    }

    #[test]
    fn a_waiter_leaves_at_its_deadline() {
        let (tenant, id) = key();
        let flights: Flights<u8> = Flights::new();
        let far = Instant::now() + Duration::from_secs(30);
        let joined = flights.join(&tenant, id, far, || {
            let late = std::thread::scope(|scope| {
                scope
                    .spawn(|| flights.join(&tenant, id, Instant::now(), || 9))
                    .join()
                    .unwrap()
            });
            assert!(matches!(late, Joined::TimedOut));
            1
        });
        assert!(matches!(joined, Joined::Outcome(1)));
    }
}
