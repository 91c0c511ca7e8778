//! Events: reports of changes, sent to the host as they occur.

use std::fmt;

use crate::model::{
    ConnectionId, FailureCode, NeedsConsent, ProviderId, TenantId, Timestamp, UserId, VaultWarning,
};

/// A report about a connection, a consent request or the vault. Contains ids and codes, never a
/// secret or a server's text.
///
/// With the feature `serde`, `kind` and `detail` are members of the event: the names that
/// [`EventKind::as_str`] and [`EventKind::detail`] return.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Event {
    /// The time when the event occurred, by the host's clock.
    pub at: Timestamp,
    /// The tenant. `None` if the event concerns the whole vault.
    pub tenant: Option<TenantId>,
    /// The user who acted, if any.
    pub user: Option<UserId>,
    /// The provider. `None` if the event concerns none.
    pub provider: Option<ProviderId>,
    /// The connection. `None` if it does not exist yet.
    pub connection: Option<ConnectionId>,
    /// The kind of the event.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub kind: EventKind,
}

impl Event {
    /// Returns an event of this kind that concerns the whole vault.
    #[must_use]
    pub const fn new(at: Timestamp, kind: EventKind) -> Self {
        Self {
            at,
            tenant: None,
            user: None,
            provider: None,
            connection: None,
            kind,
        }
    }

    /// Returns the [level](EventKind::level) of the event's kind.
    #[must_use]
    pub const fn level(&self) -> EventLevel {
        self.kind.level()
    }

    /// Sets the tenant and the provider.
    #[must_use]
    pub fn at_service(mut self, tenant: &TenantId, provider: &ProviderId) -> Self {
        self.tenant = Some(tenant.clone());
        self.provider = Some(provider.clone());
        self
    }

    /// Sets the user who acted.
    #[must_use]
    pub fn user(mut self, user: Option<&UserId>) -> Self {
        self.user = user.cloned();
        self
    }

    /// Sets the connection.
    #[must_use]
    pub const fn connection(mut self, connection: Option<ConnectionId>) -> Self {
        self.connection = connection;
        self
    }
}

/// Writes the time, a sentence that describes the event, and the known ids in brackets, such as
/// `2030-01-01T00:00:00.000Z: The tokens were refreshed (provider gmail, tenant acme).`
///
/// The text is for people. A program uses the fields, or the names of the
/// [kind](EventKind::as_str).
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.at)?;
        self.kind.write_clause(f)?;
        let known: [Option<(&str, &dyn fmt::Display)>; 4] = [
            self.provider.as_ref().map(|it| ("provider ", it as _)),
            self.connection.as_ref().map(|it| ("connection ", it as _)),
            self.user.as_ref().map(|it| ("user ", it as _)),
            self.tenant.as_ref().map(|it| ("tenant ", it as _)),
        ];
        let mut before = " (";
        for (name, value) in known.into_iter().flatten() {
            write!(f, "{before}{name}{value}")?;
            before = ", ";
        }
        f.write_str(if before == ", " { ")." } else { "." })
    }
}

/// The kind of an event.
///
/// [`Display`](fmt::Display) writes the name, and the detail after a colon:
/// `refresh_failed: timed_out`. Names and details are stable, so metrics and alerts can depend on
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(tag = "kind", content = "detail", rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum EventKind {
    /// A consent was started.
    ConsentStarted,
    /// A consent was completed and the connection stored.
    ConsentCompleted,
    /// The user declined, or the server refused the request.
    ConsentDenied,
    /// The code could not be exchanged, or the response could not be used. The user must start
    /// again.
    ConsentFailed,
    /// The connection was stored without an account, because the service does not name one: neither
    /// the account nor a change of account at a later consent can be verified. Follows
    /// [`ConsentCompleted`](Self::ConsentCompleted).
    AccountNotVerified,
    /// The tokens were refreshed and stored.
    Refreshed,
    /// A refresh failed temporarily. The tokens are kept.
    RefreshFailed(FailureCode),
    /// The connection needs a new consent.
    ConsentNeeded(NeedsConsent),
    /// The connection was revoked locally.
    Revoked,
    /// The workspace connection's token was given to a user without a personal connection.
    WorkspaceFallback,
    /// A gateway received a request outside its mount before any request inside it: a router or
    /// proxy passes a different path than the mount names. Correct the mount, or call
    /// `Gateway::handle_stripped` if the prefix is removed before the gateway.
    OutsideMount,
    /// The environment of the vault weakens its guarantees. Sent when the connections are built.
    VaultWarning(VaultWarning),
}

impl EventKind {
    /// Returns every kind with every detail, for example as labels of a metric.
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = [
            Self::ConsentStarted,
            Self::ConsentCompleted,
            Self::ConsentDenied,
            Self::ConsentFailed,
            Self::AccountNotVerified,
            Self::Refreshed,
            Self::Revoked,
            Self::WorkspaceFallback,
            Self::OutsideMount,
        ];
        plain
            .into_iter()
            .chain(FailureCode::ALL.map(Self::RefreshFailed))
            .chain(NeedsConsent::ALL.map(Self::ConsentNeeded))
            .chain(VaultWarning::ALL.map(Self::VaultWarning))
    }

    /// Returns the name of the kind, without its detail, in lower case with underscores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsentStarted => "consent_started",
            Self::ConsentCompleted => "consent_completed",
            Self::ConsentDenied => "consent_denied",
            Self::ConsentFailed => "consent_failed",
            Self::AccountNotVerified => "account_not_verified",
            Self::Refreshed => "refreshed",
            Self::RefreshFailed(_) => "refresh_failed",
            Self::ConsentNeeded(_) => "consent_needed",
            Self::Revoked => "revoked",
            Self::WorkspaceFallback => "workspace_fallback",
            Self::OutsideMount => "outside_mount",
            Self::VaultWarning(_) => "vault_warning",
        }
    }

    /// Returns the level of events of this kind.
    #[must_use]
    pub const fn level(self) -> EventLevel {
        match self {
            Self::RefreshFailed(code) if code.needs_administrator() => EventLevel::Error,
            Self::RefreshFailed(_)
            | Self::ConsentNeeded(_)
            | Self::ConsentFailed
            | Self::OutsideMount
            | Self::VaultWarning(_) => EventLevel::Warn,
            Self::ConsentStarted
            | Self::ConsentCompleted
            | Self::ConsentDenied
            | Self::AccountNotVerified
            | Self::Refreshed
            | Self::Revoked => EventLevel::Info,
            Self::WorkspaceFallback => EventLevel::Debug,
        }
    }

    /// Writes a sentence that describes the event, without its full stop.
    fn write_clause(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConsentStarted => "A consent was started",
            Self::ConsentCompleted => "A consent was completed, and the connection was stored",
            Self::ConsentDenied => "A consent was declined by the user or refused by the provider",
            Self::ConsentFailed => {
                "A consent failed after the user had approved it, and must be started again"
            }
            Self::AccountNotVerified => {
                "A connection was stored without an account, because the provider does not name one"
            }
            Self::Refreshed => "The tokens were refreshed",
            Self::RefreshFailed(code) => return write!(f, "The tokens were not refreshed: {code}"),
            Self::ConsentNeeded(reason) => {
                return write!(f, "The connection needs a new consent: {}", need(reason));
            }
            Self::Revoked => "The connection was revoked",
            Self::WorkspaceFallback => {
                "The token of the workspace connection was used, because the user has no connection"
            }
            Self::OutsideMount => "The gateway received a request with a path outside its mount",
            Self::VaultWarning(warning) => {
                return write!(
                    f,
                    "The environment of the vault weakens its guarantees: {warning}"
                );
            }
        })
    }

    /// Returns the name of the detail, if the kind has one: the reason for a failed refresh or a
    /// needed consent, or the warning.
    #[must_use]
    pub const fn detail(self) -> Option<&'static str> {
        match self {
            Self::RefreshFailed(code) => Some(code.as_str()),
            Self::ConsentNeeded(reason) => Some(reason.as_str()),
            Self::VaultWarning(warning) => Some(warning.as_str()),
            Self::ConsentStarted
            | Self::ConsentCompleted
            | Self::ConsentDenied
            | Self::ConsentFailed
            | Self::AccountNotVerified
            | Self::Refreshed
            | Self::Revoked
            | Self::WorkspaceFallback
            | Self::OutsideMount => None,
        }
    }
}

/// Returns the reason for a needed consent as a clause.
const fn need(reason: NeedsConsent) -> &'static str {
    match reason {
        NeedsConsent::Rejected => "access was revoked at the provider or has expired",
        NeedsConsent::Expired => "access expired and cannot be refreshed",
        NeedsConsent::LostInFlight => "a refresh was interrupted, and its new token was lost",
        NeedsConsent::Unexplained => "the provider refuses to refresh access without giving a reason",
        NeedsConsent::ClientChanged => "the application has a new client registration at the provider",
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self.detail() {
            Some(detail) => write!(f, ": {detail}"),
            None => Ok(()),
        }
    }
}

/// The severity of an event, in ascending order. A host maps it to the levels of its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum EventLevel {
    /// An event that occurs in many turns.
    Debug,
    /// An event of normal use, including a refusal by the user.
    Info,
    /// An event that affects one user or one service: a failed refresh, a needed consent.
    Warn,
    /// A failure that persists until an administrator changes the configuration.
    Error,
}

impl EventLevel {
    /// Returns the level as one lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for EventLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Receives events, to forward them to a log, a metric or a user.
///
/// # Contract
///
/// The crate calls `emit` after the change is stored, outside any lock and transaction, on the
/// caller's thread. `emit` must be quick and must not panic. Events are informational; the
/// authoritative record is the vault's audit.
///
/// A closure is also a sink:
///
/// ```
/// use std::sync::mpsc;
/// use valetkey::model::{Event, EventKind};
/// use valetkey::testing::Host;
///
/// let (sender, receiver) = mpsc::channel();
/// let host = Host::builder()
///     .events(move |event: &Event| {
///         let _ = sender.send(event.kind);
///     })
///     .build()?;
/// host.connect(&host.user("ada"), "notes");
/// assert_eq!(receiver.recv(), Ok(EventKind::ConsentStarted));
/// # Ok::<(), valetkey::Error>(())
/// ```
pub trait EventSink: Send + Sync + 'static {
    /// Receives one event.
    fn emit(&self, event: &Event);
}

impl<F> EventSink for F
where
    F: Fn(&Event) + Send + Sync + 'static,
{
    fn emit(&self, event: &Event) {
        self(event);
    }
}

impl<S: EventSink + ?Sized> EventSink for std::sync::Arc<S> {
    fn emit(&self, event: &Event) {
        (**self).emit(event);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The number of variants. A new variant does not compile until it is counted here, and a test
    /// then requires it in [`EventKind::all`].
    const VARIANTS: usize = 12;

    const fn variant(kind: EventKind) -> usize {
        match kind {
            EventKind::ConsentStarted => 0,
            EventKind::ConsentCompleted => 1,
            EventKind::ConsentDenied => 2,
            EventKind::ConsentFailed => 3,
            EventKind::AccountNotVerified => 4,
            EventKind::Refreshed => 5,
            EventKind::RefreshFailed(_) => 6,
            EventKind::ConsentNeeded(_) => 7,
            EventKind::Revoked => 8,
            EventKind::WorkspaceFallback => 9,
            EventKind::VaultWarning(_) => 10,
            EventKind::OutsideMount => 11,
        }
    }

    #[test]
    fn every_variant_is_among_all_kinds() {
        let found: BTreeSet<_> = EventKind::all().map(variant).collect();
        assert_eq!(found, (0..VARIANTS).collect());
        let written: BTreeSet<_> = EventKind::all().map(|kind| kind.to_string()).collect();
        assert_eq!(
            written.len(),
            EventKind::all().count(),
            "each is written in its own way"
        );
    }

    #[test]
    fn a_name_is_one_lower_case_word() {
        for kind in EventKind::all() {
            for name in [Some(kind.as_str()), kind.detail()].into_iter().flatten() {
                let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                assert!(is_plain && !name.is_empty(), "{kind:?}: {name}");
            }
        }
        let kind = EventKind::RefreshFailed(FailureCode::TimedOut);
        assert_eq!(kind.to_string(), "refresh_failed: timed_out");
        assert_eq!(EventKind::Revoked.to_string(), "revoked");
    }

    #[test]
    fn what_an_operator_must_fix_is_an_error() {
        let level = |kind: EventKind| Event::new(Timestamp::from_unix_millis(0), kind).level();
        assert_eq!(level(EventKind::Refreshed), EventLevel::Info);
        assert_eq!(level(EventKind::OutsideMount), EventLevel::Warn);
        assert_eq!(level(EventKind::WorkspaceFallback), EventLevel::Debug);
        for code in FailureCode::ALL {
            let expected = match code.needs_administrator() {
                true => EventLevel::Error,
                false => EventLevel::Warn,
            };
            assert_eq!(level(EventKind::RefreshFailed(code)), expected, "{code:?}");
        }
        let levels = [
            EventLevel::Debug,
            EventLevel::Info,
            EventLevel::Warn,
            EventLevel::Error,
        ];
        assert!(levels.is_sorted());
        assert_eq!(
            levels.map(|level| level.to_string()),
            ["debug", "info", "warn", "error"]
        );
    }

    #[test]
    fn an_event_is_written_with_everything_that_is_known() {
        let at = Timestamp::from_unix_millis(0);
        let kind = EventKind::RefreshFailed(FailureCode::TimedOut);
        let bare = Event::new(at, kind);
        assert_eq!(
            bare.to_string(),
            "1970-01-01T00:00:00.000Z: The tokens were not refreshed: the provider did not answer in time."
        );
        let (tenant, provider) = (TenantId::new("acme").unwrap(), ProviderId::new("gmail").unwrap());
        let id = ConnectionId::from_bytes([1; 16]);
        let full = bare
            .at_service(&tenant, &provider)
            .user(Some(&UserId::new("alice").unwrap()))
            .connection(Some(id));
        let expected = format!(
            "1970-01-01T00:00:00.000Z: The tokens were not refreshed: the provider did not answer in time \
             (provider gmail, connection {id}, user alice, tenant acme)."
        );
        assert_eq!(full.to_string(), expected);
        let within = Event::new(at, EventKind::Refreshed).at_service(&tenant, &provider);
        assert_eq!(
            within.to_string(),
            "1970-01-01T00:00:00.000Z: The tokens were refreshed (provider gmail, tenant acme)."
        );
    }

    #[test]
    fn every_kind_has_a_sentence_of_its_own() {
        let at = Timestamp::from_unix_millis(0);
        let sentences: BTreeSet<_> = EventKind::all()
            .map(|kind| Event::new(at, kind).to_string())
            .collect();
        assert_eq!(sentences.len(), EventKind::all().count());
        for sentence in &sentences {
            assert!(sentence.ends_with('.') && !sentence.contains('_'), "{sentence}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn an_event_of_every_kind_survives_json_with_its_names() {
        let tenant = TenantId::new("acme").unwrap();
        let provider = ProviderId::new("gmail").unwrap();
        let user = UserId::new("alice").unwrap();
        for kind in EventKind::all() {
            let bare = Event::new(Timestamp::from_unix_millis(7), kind);
            let full = bare
                .clone()
                .at_service(&tenant, &provider)
                .user(Some(&user))
                .connection(Some(ConnectionId::from_bytes([1; 16])));
            for event in [bare, full] {
                let json = serde_json::to_value(&event).unwrap();
                assert_eq!(json["kind"], kind.as_str());
                assert_eq!(
                    json.get("detail").and_then(|detail| detail.as_str()),
                    kind.detail()
                );
                assert_eq!(json["at"], "1970-01-01T00:00:00.007Z");
                assert_eq!(json["user"].as_str(), event.user.as_ref().map(UserId::as_str));
                assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
            }
        }
    }
}
