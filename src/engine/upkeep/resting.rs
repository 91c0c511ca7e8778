//! The authorization servers that upkeep leaves alone because they do not answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::{ServerId, Timestamp};

/// For how long, at first and at most. Shorter than the horizon: a server that recovers is asked before the tokens
/// expire.
const REST: Duration = Duration::from_secs(15);
const LONGEST_REST: Duration = Duration::from_secs(120);

/// The servers that upkeep leaves alone because they do not answer.
#[derive(Debug, Default)]
pub(crate) struct Resting {
    servers: Mutex<HashMap<ServerId, Rest>>,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    times: u32,
    until: Timestamp,
}

impl Resting {
    pub(crate) fn contains(&self, server: &ServerId, now: Timestamp) -> bool {
        self.servers().get(server).is_some_and(|rest| rest.until > now)
    }

    /// Leaves a server alone, for longer each time.
    pub(crate) fn add(&self, server: &ServerId, now: Timestamp) {
        let mut servers = self.servers();
        let times = servers.get(server).map_or(0, |rest| rest.times);
        let span = REST.saturating_mul(2_u32.saturating_pow(times)).min(LONGEST_REST);
        let rest = Rest {
            times: times.saturating_add(1),
            until: now + span,
        };
        servers.insert(server.clone(), rest);
    }

    pub(crate) fn remove(&self, server: &ServerId) {
        self.servers().remove(server);
    }

    fn servers(&self) -> MutexGuard<'_, HashMap<ServerId, Rest>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
