//! Pauses: servers, or single clients there, that upkeep does not contact for a while.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::{FailureCode, ServerId, Timestamp};

/// The first and the longest pause. Shorter than the horizon, so that a recovered server is
/// contacted before the tokens expire.
const REST: Duration = Duration::from_secs(15);
const LONGEST_REST: Duration = Duration::from_secs(120);

/// A group of requests that fail for the same reason: those to a server, or those of one client
/// there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    pub(crate) server: ServerId,
    /// The client, if tenants can have their own: its id, and the check value of its registration
    /// and endpoint. Two registrations with the same id but different secrets are two clients.
    pub(crate) client: Option<(String, u16)>,
}

impl Lane {
    /// All requests to a server.
    pub(crate) const fn of_server(server: ServerId) -> Self {
        Self { server, client: None }
    }
}

/// A pause and its reason.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rest {
    times: u32,
    pub(crate) until: Timestamp,
    pub(crate) failure: FailureCode,
}

/// The servers and clients that upkeep does not contact for now.
#[derive(Debug, Default)]
pub(crate) struct Resting {
    lanes: Mutex<HashMap<Lane, Rest>>,
}

impl Resting {
    /// Returns the pause of a lane, if it has not ended.
    pub(crate) fn rest(&self, lane: &Lane, now: Timestamp) -> Option<Rest> {
        self.lanes().get(lane).copied().filter(|rest| rest.until > now)
    }

    /// Pauses a lane, longer each time.
    pub(crate) fn add(&self, lane: &Lane, failure: FailureCode, now: Timestamp) {
        let mut lanes = self.lanes();
        // A replaced client is not contacted again.
        lanes.retain(|_, rest| rest.until + LONGEST_REST > now);
        let times = lanes.get(lane).map_or(0, |rest| rest.times);
        let span = REST.saturating_mul(2_u32.saturating_pow(times)).min(LONGEST_REST);
        let rest = Rest {
            times: times.saturating_add(1),
            until: now + span,
            failure,
        };
        lanes.insert(lane.clone(), rest);
    }

    pub(crate) fn remove(&self, lane: &Lane) {
        self.lanes().remove(lane);
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<Lane, Rest>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_rests_longer_each_time_and_no_other_rests_with_it() {
        let at = |seconds: i64| Timestamp::from_unix_millis(seconds * 1000);
        let server = ServerId::new("as").unwrap();
        let client = |id: &str, setup| Lane {
            server: server.clone(),
            client: Some((id.to_owned(), setup)),
        };
        let resting = Resting::default();
        let one = client("one", 1);
        for (now, until) in [(0, 15), (15, 45), (45, 105), (105, 225), (225, 345)] {
            resting.add(&one, FailureCode::ClientRejected, at(now));
            assert_eq!(resting.rest(&one, at(now)).unwrap().until, at(until));
            for other in [
                client("two", 1),
                client("one", 2),
                Lane::of_server(server.clone()),
            ] {
                assert!(resting.rest(&other, at(now)).is_none(), "{other:?}");
            }
        }
        assert!(resting.rest(&one, at(345)).is_none());
        resting.remove(&one);
        resting.add(&one, FailureCode::ClientRejected, at(345));
        assert_eq!(resting.rest(&one, at(345)).unwrap().until, at(360));
        resting.add(&client("two", 1), FailureCode::ClientRejected, at(600));
        assert_eq!(resting.lanes().len(), 1, "a pause that is long over is forgotten");
    }
}
