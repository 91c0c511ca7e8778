//! How long things take and last.

use std::time::Duration;

use crate::model::FailureCode;

/// How the handing out of tokens is audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UseAudit {
    /// Not at all.
    Off,
    /// In batches.
    Batched,
    /// One by one, before the token is handed out.
    Strict,
}

/// How long things take and last. The defaults suit a server that talks to providers over the
/// internet.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use valetkey::connections::Settings;
///
/// let settings = Settings::default().resolve_deadline(Duration::from_secs(5));
/// assert_eq!(settings.resolve_deadline, Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Settings {
    /// The time for which a consent can be completed: 10 minutes.
    pub consent_lifetime: Duration,
    /// The time for which a prepared consent waits for its person: 24 hours.
    pub ticket_lifetime: Duration,
    /// The time for which a request to a token, revocation or account endpoint may take: 10 s. At
    /// most half of [`refresh_lease`](Self::refresh_lease): a claim must outlive its request.
    pub http_timeout: Duration,
    /// The time for which a claim to refresh holds, if its holder vanishes: 30 s.
    pub refresh_lease: Duration,
    /// The time for which `resolve` waits at most for a refresh, its own or another's: 20 s.
    pub resolve_deadline: Duration,
    /// The time for which a refused refresh token is kept, sealed and out of reach: 7 days. Zero
    /// erases it at once.
    pub quarantine: Duration,
    /// The time for which a revocation is tried again at a provider that does not answer: 7 days.
    /// Then its tokens are erased.
    pub revocation_patience: Duration,
    /// The time for which storing tokens that were fetched is tried again while the vault cannot be
    /// written, at least [`refresh_lease`](Self::refresh_lease): 2 minutes. Longer than a failover
    /// of the vault's database takes. The thread that fetched them waits for as long. Afterwards
    /// they are kept in memory, and the next `maintain` or `resolve` stores them.
    pub store_patience: Duration,
    /// The time for which the audit keeps token uses. Absent: for ever. `maintain` deletes older
    /// ones.
    pub use_retention: Option<Duration>,
    /// The time for which the audit keeps all other entries. Absent: for ever. The newest entry
    /// about the tokens of a connection is always kept.
    pub change_retention: Option<Duration>,
    /// How the handing out of tokens is audited: in batches.
    pub(crate) use_audit: UseAudit,
    /// The time for which a request by `Resolver::send` may take, and one by `send_stream` may
    /// stand still: 60 s.
    pub send_timeout: Duration,
    /// The time for which a request by `Turn::send_stream` may take, until the last byte of the
    /// answer is read: 1 hour.
    pub stream_timeout: Duration,
    /// The largest answer to `Resolver::send`: 32 MiB.
    pub send_max_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            consent_lifetime: Duration::from_secs(600),
            ticket_lifetime: Duration::from_secs(24 * 3600),
            http_timeout: Duration::from_secs(10),
            refresh_lease: Duration::from_secs(30),
            resolve_deadline: Duration::from_secs(20),
            quarantine: Duration::from_secs(7 * 24 * 3600),
            revocation_patience: Duration::from_secs(7 * 24 * 3600),
            store_patience: Duration::from_secs(120),
            use_retention: None,
            change_retention: None,
            use_audit: UseAudit::Batched,
            send_timeout: Duration::from_secs(60),
            stream_timeout: Duration::from_secs(3600),
            send_max_bytes: 32 * 1024 * 1024,
        }
    }
}

impl Settings {
    /// Sets how long a consent can be completed.
    #[must_use]
    pub const fn consent_lifetime(mut self, consent_lifetime: Duration) -> Self {
        self.consent_lifetime = consent_lifetime;
        self
    }

    /// Sets how long a prepared consent waits for its person.
    #[must_use]
    pub const fn ticket_lifetime(mut self, ticket_lifetime: Duration) -> Self {
        self.ticket_lifetime = ticket_lifetime;
        self
    }

    /// Sets how long a request to a token, revocation or account endpoint may take.
    #[must_use]
    pub const fn http_timeout(mut self, http_timeout: Duration) -> Self {
        self.http_timeout = http_timeout;
        self
    }

    /// Sets how long a claim to refresh holds if its holder vanishes.
    #[must_use]
    pub const fn refresh_lease(mut self, refresh_lease: Duration) -> Self {
        self.refresh_lease = refresh_lease;
        self
    }

    /// Sets how long `resolve` waits at most for a refresh.
    #[must_use]
    pub const fn resolve_deadline(mut self, resolve_deadline: Duration) -> Self {
        self.resolve_deadline = resolve_deadline;
        self
    }

    /// Sets how long a refused refresh token is kept. Zero erases it at once.
    #[must_use]
    pub const fn quarantine(mut self, quarantine: Duration) -> Self {
        self.quarantine = quarantine;
        self
    }

    /// Sets how long a revocation is tried again at a provider that does not answer.
    #[must_use]
    pub const fn revocation_patience(mut self, revocation_patience: Duration) -> Self {
        self.revocation_patience = revocation_patience;
        self
    }

    /// Sets how long storing fetched tokens is tried again while the vault cannot be written.
    #[must_use]
    pub const fn store_patience(mut self, store_patience: Duration) -> Self {
        self.store_patience = store_patience;
        self
    }

    /// Sets how long the audit keeps token uses.
    #[must_use]
    pub const fn use_retention(mut self, use_retention: Duration) -> Self {
        self.use_retention = Some(use_retention);
        self
    }

    /// Sets how long the audit keeps all other entries.
    #[must_use]
    pub const fn change_retention(mut self, change_retention: Duration) -> Self {
        self.change_retention = Some(change_retention);
        self
    }

    /// Leaves token uses out of the audit. Only the time of a connection's last use is kept.
    #[must_use]
    pub const fn no_use_audit(mut self) -> Self {
        self.use_audit = UseAudit::Off;
        self
    }

    /// Writes each token use to the audit before the token is handed out: each `resolve` and each
    /// `send` costs a commit, and fails if it cannot be written.
    ///
    /// Without this, uses are gathered in memory and written in batches, by `maintain` and by the
    /// drop of the last handle. A crash loses what was gathered since: at most a minute, where
    /// `maintain` is called each minute. While the vault cannot be written, some 8,192 uses of each
    /// sixteenth of the connections are kept, and later ones are lost.
    ///
    /// `peek` writes nothing, so its uses are gathered in any case, and a crash can lose them. A
    /// host that needs each use on disk before the token is used calls `resolve` only.
    #[must_use]
    pub const fn strict_use_audit(mut self) -> Self {
        self.use_audit = UseAudit::Strict;
        self
    }

    /// Sets how long a request by `send` may take, and one by `send_stream` may stand still.
    #[must_use]
    pub const fn send_timeout(mut self, send_timeout: Duration) -> Self {
        self.send_timeout = send_timeout;
        self
    }

    /// Sets how long a request by `send_stream` may take, until the last byte of the answer is
    /// read.
    #[must_use]
    pub const fn stream_timeout(mut self, stream_timeout: Duration) -> Self {
        self.stream_timeout = stream_timeout;
        self
    }

    /// Sets the largest answer to `send`, in bytes.
    #[must_use]
    pub const fn send_max_bytes(mut self, send_max_bytes: usize) -> Self {
        self.send_max_bytes = send_max_bytes;
        self
    }

    /// The timeout of a token request, kept below half the lease whatever the host set.
    pub(crate) fn token_timeout(&self) -> Duration {
        self.http_timeout.min(self.refresh_lease * 2 / 5)
    }
}

/// Returns how long to wait after this many earlier failures in a row: 30 s, or 2 s where no
/// request was sent, doubling to an hour. A server that asks for more time gets it, up to a day.
pub(crate) fn back_off(code: FailureCode, failures: u32, retry_after: Option<Duration>) -> Duration {
    const LONGEST: Duration = Duration::from_secs(3600);
    const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);
    let first = match code {
        FailureCode::Unreachable => Duration::from_secs(2),
        _ => Duration::from_secs(30),
    };
    let own = first.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST);
    let asked = retry_after.unwrap_or_default().min(LONGEST_ASKED);
    own.max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_back_off_doubles_to_an_hour() {
        let server_error = |failures| back_off(FailureCode::ServerError, failures, None);
        assert_eq!(server_error(0), 30 * SECOND);
        assert_eq!(server_error(1), 60 * SECOND);
        assert_eq!(server_error(100), 3600 * SECOND);
        assert_eq!(server_error(u32::MAX), 3600 * SECOND);
    }

    #[test]
    fn what_was_not_sent_is_tried_again_soon() {
        let unreachable = |failures| back_off(FailureCode::Unreachable, failures, None);
        assert_eq!(unreachable(0), 2 * SECOND);
        assert_eq!(unreachable(3), 16 * SECOND);
        assert_eq!(unreachable(100), 3600 * SECOND);
    }

    #[test]
    fn a_server_can_ask_for_more_time_and_never_for_less() {
        for code in FailureCode::ALL {
            for failures in [0, 1, 5, 40] {
                let own = back_off(code, failures, None);
                for asked in [0, 1, 5, 29, 31, 900, 3601, 86_400, 999_999] {
                    let wait = back_off(code, failures, Some(asked * SECOND));
                    assert_eq!(
                        wait,
                        own.max((asked * SECOND).min(86_400 * SECOND)),
                        "{code} {failures} {asked}"
                    );
                }
            }
        }
    }
}
