//! Timeouts and lifetimes.

use std::time::Duration;

use crate::model::FailureCode;

/// The audit mode for token uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UseAudit {
    /// Uses are not audited.
    Off,
    /// Uses are written in batches.
    Batched,
    /// Each use is written before the token is returned.
    Strict,
}

/// Timeouts, lifetimes and limits. The defaults suit a server that contacts providers over the
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
    /// The lifetime of a consent: 10 minutes.
    pub consent_lifetime: Duration,
    /// The lifetime of a prepared consent: 24 hours.
    pub ticket_lifetime: Duration,
    /// The timeout of a request to a token, revocation or account endpoint: 10 s. A request to a
    /// token endpoint also ends after two fifths of [`refresh_lease`](Self::refresh_lease), because
    /// a claim must outlive its request.
    pub http_timeout: Duration,
    /// The lifetime of a refresh claim if its holder disappears: 30 s. A *claim* reserves the
    /// refresh of a grant for one caller.
    pub refresh_lease: Duration,
    /// The maximum time that `resolve` waits for a refresh, its own or another caller's: 20 s.
    pub resolve_deadline: Duration,
    /// The time that a refused refresh token is kept, encrypted and unavailable to turns: 7 days.
    /// Zero erases it immediately.
    pub quarantine: Duration,
    /// The time that a revocation is retried at a provider that does not respond: 7 days. After
    /// that, its tokens are erased.
    pub revocation_patience: Duration,
    /// The time that storing fetched tokens is retried while the vault cannot be written: 2
    /// minutes, and at least [`refresh_lease`](Self::refresh_lease). This is longer than a database
    /// failover takes. The thread that fetched the tokens waits this long. Afterwards they are kept
    /// in memory, and the next `maintain` or `resolve` stores them.
    pub store_patience: Duration,
    /// The time that the audit keeps token uses. `None`: no limit. `maintain` deletes older ones.
    pub use_retention: Option<Duration>,
    /// The time that the audit keeps all other entries. `None`: no limit. The newest entry about
    /// the tokens of a connection is always kept.
    pub change_retention: Option<Duration>,
    /// The audit mode for token uses. Default: in batches.
    pub(crate) use_audit: UseAudit,
    /// The time limit of a request by `Resolver::send`, and the maximum time without progress of a
    /// request by `send_stream`: 60 s.
    pub send_timeout: Duration,
    /// The time limit of a request by `Turn::send_stream`, until the last byte of the response is
    /// read: 1 hour.
    pub stream_timeout: Duration,
    /// The maximum size of a response to `Resolver::send`: 32 MiB.
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
    /// Sets the lifetime of a consent.
    #[must_use]
    pub const fn consent_lifetime(mut self, consent_lifetime: Duration) -> Self {
        self.consent_lifetime = consent_lifetime;
        self
    }

    /// Sets the lifetime of a prepared consent.
    #[must_use]
    pub const fn ticket_lifetime(mut self, ticket_lifetime: Duration) -> Self {
        self.ticket_lifetime = ticket_lifetime;
        self
    }

    /// Sets the timeout of requests to token, revocation and account endpoints.
    #[must_use]
    pub const fn http_timeout(mut self, http_timeout: Duration) -> Self {
        self.http_timeout = http_timeout;
        self
    }

    /// Sets the lifetime of a refresh claim whose holder disappears.
    #[must_use]
    pub const fn refresh_lease(mut self, refresh_lease: Duration) -> Self {
        self.refresh_lease = refresh_lease;
        self
    }

    /// Sets the maximum time that `resolve` waits for a refresh.
    #[must_use]
    pub const fn resolve_deadline(mut self, resolve_deadline: Duration) -> Self {
        self.resolve_deadline = resolve_deadline;
        self
    }

    /// Sets how long a refused refresh token is kept. Zero erases it immediately.
    #[must_use]
    pub const fn quarantine(mut self, quarantine: Duration) -> Self {
        self.quarantine = quarantine;
        self
    }

    /// Sets how long a revocation is retried at a provider that does not respond.
    #[must_use]
    pub const fn revocation_patience(mut self, revocation_patience: Duration) -> Self {
        self.revocation_patience = revocation_patience;
        self
    }

    /// Sets how long storing fetched tokens is retried while the vault cannot be written.
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

    /// Turns off auditing of token uses. Only the time of a connection's last use is recorded.
    #[must_use]
    pub const fn no_use_audit(mut self) -> Self {
        self.use_audit = UseAudit::Off;
        self
    }

    /// Writes each token use to the audit before the token is returned. Each `resolve` and each
    /// `send` then costs a commit, and fails if the entry cannot be written.
    ///
    /// By default, uses are collected in memory and written in batches, by `maintain` and when the
    /// last handle is dropped. A crash loses the uses collected since the last write: those of a
    /// minute if `maintain` is called every minute. Connections are collected in 16 groups. While
    /// the vault cannot be written, about 8,192 uses are kept for each group; later ones are lost.
    ///
    /// `peek` never writes, so its uses are always collected, and a crash can lose them. A host
    /// that needs each use on disk before the token is used calls only `resolve`.
    #[must_use]
    pub const fn strict_use_audit(mut self) -> Self {
        self.use_audit = UseAudit::Strict;
        self
    }

    /// Sets the time limit of requests by `send`, and the maximum time without progress of requests
    /// by `send_stream`.
    #[must_use]
    pub const fn send_timeout(mut self, send_timeout: Duration) -> Self {
        self.send_timeout = send_timeout;
        self
    }

    /// Sets the time limit of requests by `send_stream`, until the last byte of the response is
    /// read.
    #[must_use]
    pub const fn stream_timeout(mut self, stream_timeout: Duration) -> Self {
        self.stream_timeout = stream_timeout;
        self
    }

    /// Sets the maximum size of a response to `send`, in bytes.
    #[must_use]
    pub const fn send_max_bytes(mut self, send_max_bytes: usize) -> Self {
        self.send_max_bytes = send_max_bytes;
        self
    }

    /// Returns the timeout of a token request, which is always below half of the lease.
    pub(crate) fn token_timeout(&self) -> Duration {
        self.http_timeout.min(self.refresh_lease * 2 / 5)
    }
}

/// Returns the pause after this many consecutive earlier failures: 30 s, or 2 s if no request was
/// sent, doubling up to an hour. If the server asks for a longer pause, it is respected, up to a
/// day.
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
    fn the_documentation_of_a_setting_states_its_default() {
        const MINUTE: Duration = Duration::from_secs(60);
        const HOUR: Duration = Duration::from_secs(3_600);
        let source = include_str!("settings.rs");
        let settings = Settings::default();
        for (field, stated, value) in [
            ("consent_lifetime", (10, "minutes"), settings.consent_lifetime),
            ("ticket_lifetime", (24, "hours"), settings.ticket_lifetime),
            ("http_timeout", (10, "s"), settings.http_timeout),
            ("refresh_lease", (30, "s"), settings.refresh_lease),
            ("resolve_deadline", (20, "s"), settings.resolve_deadline),
            ("quarantine", (7, "days"), settings.quarantine),
            ("revocation_patience", (7, "days"), settings.revocation_patience),
            ("store_patience", (2, "minutes"), settings.store_patience),
            ("send_timeout", (60, "s"), settings.send_timeout),
            ("stream_timeout", (1, "hour"), settings.stream_timeout),
        ] {
            let (number, unit) = stated;
            let one = match unit {
                "days" => 24 * HOUR,
                "hours" | "hour" => HOUR,
                "minutes" => MINUTE,
                _ => SECOND,
            };
            assert_eq!(value, number * one, "{field}");
            let (before, _) = source.split_once(&format!("    pub {field}: ")).unwrap();
            let (_, text) = before.rsplit_once(",\n").unwrap_or(("", before));
            let text = text.replace("\n    ///", "");
            assert!(text.contains(&format!(": {number} {unit}")), "{field}: {text}");
        }
        assert_eq!(settings.send_max_bytes, 32 << 20);
    }

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
