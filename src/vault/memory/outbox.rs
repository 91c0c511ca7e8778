//! Pending revocations, in plain memory.

use std::time::Duration;

use crate::model::{Connection, Timestamp};
use crate::secret::{AccessToken, RefreshToken};
use crate::vault::PendingRevocation;

/// As in a file: a provider that is away for good must not fill the memory.
const MOST: usize = 10_000;

/// What waits for a provider.
#[derive(Default)]
pub(super) struct Outbox {
    last: u64,
    pending: Vec<(Timestamp, PendingRevocation, Connection)>,
}

impl Outbox {
    /// Keeps tokens until `not_before` and gives them a number, if there are any and there is room.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        access_token: Option<&AccessToken>,
        refresh_token: Option<&RefreshToken>,
        not_before: Timestamp,
        give_up_at: Timestamp,
    ) -> Option<u64> {
        if self.pending.len() >= MOST || access_token.is_none() && refresh_token.is_none() {
            return None;
        }
        self.last += 1;
        let pending = PendingRevocation {
            id: self.last,
            tenant: connection.tenant.clone(),
            connection: connection.id,
            provider: connection.provider.clone(),
            issued_by: connection.issued_by.clone(),
            parameters: connection.parameters.clone(),
            access_token: access_token.map(|token| AccessToken::new(token.expose_secret())),
            refresh_token: refresh_token.map(|token| RefreshToken::new(token.expose_secret())),
            attempts: 0,
            give_up_at,
        };
        self.pending.push((not_before, pending, connection.clone()));
        Some(self.last)
    }

    /// Lends out what is due.
    pub(super) fn take(&mut self, now: Timestamp, lease: Duration, limit: usize) -> Vec<PendingRevocation> {
        self.pending.sort_by_key(|(not_before, ..)| *not_before);
        self.pending
            .iter_mut()
            .filter(|(not_before, ..)| *not_before <= now)
            .take(limit)
            .map(|(not_before, pending, _)| {
                *not_before = now + lease;
                pending.attempts += 1;
                PendingRevocation {
                    tenant: pending.tenant.clone(),
                    provider: pending.provider.clone(),
                    issued_by: pending.issued_by.clone(),
                    parameters: pending.parameters.clone(),
                    access_token: pending
                        .access_token
                        .as_ref()
                        .map(|token| AccessToken::new(token.expose_secret())),
                    refresh_token: pending
                        .refresh_token
                        .as_ref()
                        .map(|token| RefreshToken::new(token.expose_secret())),
                    ..*pending
                }
            })
            .collect()
    }

    pub(super) fn again(&mut self, id: u64, at: Timestamp) {
        for (not_before, pending, _) in &mut self.pending {
            if pending.id == id {
                *not_before = at;
            }
        }
    }

    /// Takes one out; returns the connection that it was of.
    pub(super) fn remove(&mut self, id: u64) -> Option<Connection> {
        let at = self.pending.iter().position(|(_, pending, _)| pending.id == id)?;
        Some(self.pending.remove(at).2)
    }

    pub(super) fn forget(&mut self, doomed: impl Fn(&Connection) -> bool) {
        self.pending.retain(|(.., connection)| !doomed(connection));
    }
}
