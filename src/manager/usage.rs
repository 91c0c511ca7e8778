//! When tokens were last handed out, gathered in memory.
//!
//! `resolve` must not write: a commit costs a hundred times the read. What is gathered here is written in one
//! transaction by `maintain`, and by the drop of the last handle; a crash loses what came since.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::model::{ConnectionId, TenantId, Timestamp};
use crate::vault::Use;

/// Several maps, so that threads which resolve different connections seldom meet.
const SHARDS: usize = 16;

/// Uses closer together than this are one: the page shows minutes.
const RESOLUTION_MILLIS: i64 = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Usage {
    shards: [Mutex<HashMap<ConnectionId, Use>>; SHARDS],
}

impl Usage {
    pub(crate) fn note(&self, tenant: &TenantId, connection: ConnectionId, at: Timestamp) {
        let shard = usize::from(connection.as_bytes()[15]) % SHARDS;
        let mut uses = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        match uses.get_mut(&connection) {
            Some(known) if at.as_unix_millis() - known.at.as_unix_millis() < RESOLUTION_MILLIS => {}
            Some(known) => known.at = at,
            None => {
                uses.insert(
                    connection,
                    Use {
                        tenant: tenant.clone(),
                        connection,
                        at,
                    },
                );
            }
        }
    }

    /// Takes all that was gathered.
    pub(crate) fn take(&self) -> Vec<Use> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let mut uses = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(uses.drain().map(|(_, used)| used));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_uses_become_one_with_the_latest_time() {
        let usage = Usage::default();
        let tenant = TenantId::new("acme").unwrap();
        let id = ConnectionId::from_bytes([7; 16]);
        for second in 0..5 {
            usage.note(&tenant, id, Timestamp::from_unix_millis(second * 1_000));
        }
        let uses = usage.take();
        assert_eq!(uses.len(), 1);
        assert_eq!(uses[0].at, Timestamp::from_unix_millis(4_000));
        assert!(usage.take().is_empty());
    }
}
