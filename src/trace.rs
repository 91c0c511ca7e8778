//! Spans and events for the host's subscriber (feature `tracing`), with all names and fields in one
//! place.
//!
//! `docs/tracing.md` lists the names and fields that operators can rely on. Fields hold ids, codes
//! and times, and never a URL with a query, a body, a header or a server's text. Without the
//! feature, none of this is compiled.

use crate::error::Result;
use crate::model::{Connection, ConnectionId, Event, ProviderId, TenantId, UserId};

/// The location of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seam {
    Start,
    Complete,
    Resolve,
    Send,
    Refresh,
    Revoke,
    Maintain,
}

/// The user and provider of the span, as far as they are known at its start. Unknown provider names
/// are omitted, because a model may have written them.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(
    not(feature = "tracing"),
    allow(dead_code, reason = "read by the feature alone")
)]
pub(crate) struct About<'a> {
    pub(crate) tenant: Option<&'a TenantId>,
    pub(crate) user: Option<&'a UserId>,
    pub(crate) provider: Option<&'a ProviderId>,
    pub(crate) connection: Option<ConnectionId>,
}

impl<'a> From<&'a Connection> for About<'a> {
    fn from(connection: &'a Connection) -> Self {
        Self {
            tenant: Some(&connection.tenant),
            user: connection.owner.user(),
            provider: Some(&connection.provider),
            connection: Some(connection.id),
        }
    }
}

#[cfg(not(feature = "tracing"))]
pub(crate) use off::{current, event, provider, within};
#[cfg(feature = "tracing")]
pub(crate) use on::{current, event, provider, within};

#[cfg(not(feature = "tracing"))]
mod off {
    use super::{About, Event, ProviderId, Result, Seam};

    #[inline]
    pub(crate) fn within<'a, T>(
        _: Seam,
        _: impl FnOnce() -> About<'a>,
        act: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        act()
    }

    pub(crate) const fn provider(_: &ProviderId) {}

    /// Returns the current span of this thread.
    pub(crate) struct Open;

    impl Open {
        pub(crate) fn within<T>(&self, act: impl FnOnce() -> T) -> T {
            act()
        }
    }

    pub(crate) const fn current() -> Open {
        Open
    }

    pub(crate) const fn event(_: &Event) {}
}

#[cfg(feature = "tracing")]
mod on {
    use std::time::Instant;

    use tracing::Span;
    use tracing::field::{Empty, display};

    use super::{About, Event, ProviderId, Result, Seam, TenantId, UserId};
    use crate::error::{ConsentError, ConsentReason, Error, Misconfigured};
    use crate::model::EventLevel;
    use crate::vault::VaultError;

    /// Runs `act` in a span and records the outcome.
    pub(crate) fn within<'a, T>(
        seam: Seam,
        about: impl FnOnce() -> About<'a>,
        act: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let span = seam.span();
        if span.is_disabled() {
            return act();
        }
        about().record(&span);
        let began = Instant::now();
        let ended = span.in_scope(act);
        let (outcome, reason) = match &ended {
            Ok(_) => ("ok", None),
            Err(error) => described(error),
        };
        span.record("outcome", outcome);
        if let Some(reason) = reason {
            span.record("reason", reason);
        }
        let elapsed = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        span.record("elapsed_us", elapsed);
        ended
    }

    /// Adds the provider to the current span, if it was not known at the start of the span.
    pub(crate) fn provider(id: &ProviderId) {
        Span::current().record("provider", id.as_str());
    }

    /// The current span of this thread, to be continued on another one.
    pub(crate) struct Open(Span);

    impl Open {
        /// Runs `act` in the span.
        pub(crate) fn within<T>(&self, act: impl FnOnce() -> T) -> T {
            self.0.in_scope(act)
        }
    }

    /// Returns the current span of this thread.
    pub(crate) fn current() -> Open {
        Open(Span::current())
    }

    /// Emits an event about a stored change.
    pub(crate) fn event(event: &Event) {
        macro_rules! emit {
            ($level:ident) => {
                tracing::event!(
                    target: "valetkey",
                    tracing::Level::$level,
                    kind = event.kind.as_str(),
                    detail = event.kind.detail(),
                    tenant = event.tenant.as_ref().map(TenantId::as_str),
                    user = event.user.as_ref().map(UserId::as_str),
                    provider = event.provider.as_ref().map(ProviderId::as_str),
                    connection = event.connection.map(display),
                    "{}",
                    event.kind
                )
            };
        }
        match event.level() {
            EventLevel::Error => emit!(ERROR),
            EventLevel::Warn => emit!(WARN),
            EventLevel::Info => emit!(INFO),
            EventLevel::Debug => emit!(DEBUG),
        }
    }

    impl Seam {
        fn span(self) -> Span {
            macro_rules! span {
                ($level:ident, $name:literal) => {
                    tracing::span!(
                        target: "valetkey",
                        tracing::Level::$level,
                        $name,
                        tenant = Empty,
                        user = Empty,
                        provider = Empty,
                        connection = Empty,
                        outcome = Empty,
                        reason = Empty,
                        elapsed_us = Empty
                    )
                };
            }
            match self {
                Self::Start => span!(INFO, "start"),
                Self::Complete => span!(INFO, "complete"),
                // Occurs many times in every turn.
                Self::Resolve => span!(DEBUG, "resolve"),
                Self::Send => span!(DEBUG, "send"),
                Self::Refresh => span!(INFO, "refresh"),
                Self::Revoke => span!(INFO, "revoke"),
                Self::Maintain => span!(INFO, "maintain"),
            }
        }
    }

    impl About<'_> {
        fn record(&self, span: &Span) {
            if let Some(tenant) = self.tenant {
                span.record("tenant", tenant.as_str());
            }
            if let Some(user) = self.user {
                span.record("user", user.as_str());
            }
            if let Some(provider) = self.provider {
                span.record("provider", provider.as_str());
            }
            if let Some(connection) = self.connection {
                span.record("connection", display(connection));
            }
        }
    }

    /// Returns the error's category and its kind, one word each.
    const fn described(error: &Error) -> (&'static str, Option<&'static str>) {
        match error {
            Error::ConsentRequired(need) => ("consent_required", Some(consent_reason(need.reason))),
            Error::Ambiguous { .. } => ("ambiguous", None),
            Error::Unavailable { failure, .. } => ("unavailable", Some(failure.as_str())),
            Error::Misconfigured(misconfigured) => ("misconfigured", Some(misconfiguration(misconfigured))),
            Error::Vault(vault) => ("vault", Some(vault_error(vault))),
            Error::Consent(consent) => ("consent", Some(consent_error(consent))),
            Error::UnknownProvider { .. } => ("unknown_provider", None),
            Error::NotFound => ("not_found", None),
            Error::NotPermitted => ("not_permitted", None),
            Error::InUse(_) => ("in_use", None),
            #[cfg(feature = "mcp")]
            Error::Mcp(error) => ("mcp", Some(error.as_str())),
            Error::Denied { .. } => ("denied", None),
            Error::LabelRequired(_) => ("label_required", None),
            Error::NotOneGrant(_) => ("not_one_grant", None),
            Error::Parameter(_) => ("parameter", None),
            Error::ChoiceRequired { .. } => ("choice_required", None),
            Error::InvalidValue(invalid) => ("invalid_value", Some(invalid.rule())),
            Error::Request(_) => ("request_refused", None),
            Error::AnswerTooLarge { .. } => ("answer_too_large", None),
            Error::RandomUnavailable => ("random_unavailable", None),
        }
    }

    const fn consent_reason(reason: ConsentReason) -> &'static str {
        match reason {
            ConsentReason::NotConnected => "not_connected",
            ConsentReason::MissingScopes => "missing_scopes",
            ConsentReason::Expired => "expired",
            ConsentReason::Rejected => "rejected",
            ConsentReason::LostInFlight => "lost_in_flight",
            ConsentReason::Unexplained => "unexplained",
            ConsentReason::ClientChanged => "client_changed",
        }
    }

    const fn vault_error(error: &VaultError) -> &'static str {
        match error {
            VaultError::KeyNotSet(_) => "key_not_set",
            VaultError::KeyUnreadable(_) => "key_unreadable",
            VaultError::KeyNotAFile => "key_not_a_file",
            VaultError::KeyExposed { .. } => "key_exposed",
            VaultError::KeyNotBase64 => "key_not_base64",
            VaultError::KeyWrongLength => "key_wrong_length",
            VaultError::WrongMasterKey => "wrong_master_key",
            VaultError::UnknownMasterKey => "unknown_master_key",
            VaultError::FormerMasterKey => "former_master_key",
            VaultError::KeyService(_) => "key_service",
            VaultError::Tampered => "tampered",
            VaultError::NotAVault => "not_a_vault",
            VaultError::NewerVersion { .. } => "newer_version",
            VaultError::Damaged => "damaged",
            VaultError::Mixed => "mixed",
            VaultError::Replaced => "replaced",
            VaultError::InUse => "in_use",
            VaultError::ReadOnly => "read_only",
            VaultError::AccessDenied(_) => "access_denied",
            VaultError::NoDirectory => "no_directory",
            VaultError::TooManyOpenFiles => "too_many_open_files",
            VaultError::CannotOpen => "cannot_open",
            VaultError::UnsafePath(_) => "unsafe_path",
            VaultError::OtherOwner { .. } => "other_owner",
            VaultError::OtherGroup { .. } => "other_group",
            VaultError::UnknownFileSystem(_) => "unknown_file_system",
            VaultError::Forked => "forked",
            VaultError::Unsupported(_) => "unsupported",
            VaultError::NotSupported(_) => "not_supported",
            VaultError::Busy => "busy",
            VaultError::Unreachable => "unreachable",
            VaultError::Moved => "moved",
            VaultError::Incomplete => "incomplete",
            VaultError::DiskFull => "disk_full",
            VaultError::TooLarge => "too_large",
            VaultError::RandomUnavailable => "random_unavailable",
            VaultError::Storage(_) => "storage",
        }
    }

    const fn consent_error(error: &ConsentError) -> &'static str {
        match error {
            ConsentError::Unknown => "unknown",
            ConsentError::Used(_) => "used",
            ConsentError::Expired => "expired",
            ConsentError::WrongUser => "wrong_user",
            ConsentError::WrongBrowser => "wrong_browser",
            ConsentError::IssuerMismatch => "issuer_mismatch",
            ConsentError::Denied(_) => "denied",
            ConsentError::ExchangeFailed(failure) => failure.as_str(),
            ConsentError::AccountMismatch => "account_mismatch",
            ConsentError::AccountUnknown => "account_unknown",
            ConsentError::Conflict => "conflict",
        }
    }

    const fn misconfiguration(error: &Misconfigured) -> &'static str {
        match error {
            Misconfigured::RequestRejected { failure, .. } => failure.as_str(),
            problem => problem.as_str(),
        }
    }
}

#[cfg(all(test, feature = "tracing"))]
mod tests {
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Level, Metadata, Subscriber};

    use super::on;
    use crate::model::{Event, EventKind, Timestamp};

    /// Records the levels and messages of events.
    #[derive(Clone, Default)]
    struct Ear(Arc<Mutex<Vec<(Level, String)>>>);

    struct Message(String);

    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}");
            }
        }
    }

    impl Subscriber for Ear {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let mut message = Message(String::new());
            event.record(&mut message);
            self.0
                .lock()
                .unwrap()
                .push((*event.metadata().level(), message.0));
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    /// Operators' alerts depend on these names.
    fn expected(kind: EventKind) -> Level {
        match (kind.as_str(), kind.detail()) {
            (
                "refresh_failed",
                Some("client_rejected" | "request_rejected" | "redirected" | "not_sent" | "misconfigured"),
            ) => Level::ERROR,
            (
                "refresh_failed" | "consent_needed" | "consent_failed" | "outside_mount" | "vault_warning",
                _,
            ) => Level::WARN,
            ("workspace_fallback", _) => Level::DEBUG,
            _ => Level::INFO,
        }
    }

    #[test]
    fn every_kind_of_event_has_the_level_of_its_meaning() {
        let ear = Ear::default();
        tracing::subscriber::with_default(ear.clone(), || {
            for kind in EventKind::all() {
                on::event(&Event::new(Timestamp::from_unix_millis(0), kind));
            }
        });
        let heard = ear.0.lock().unwrap();
        assert_eq!(heard.len(), EventKind::all().count());
        for ((level, message), kind) in heard.iter().zip(EventKind::all()) {
            assert_eq!((*level, message), (expected(kind), &kind.to_string()));
        }
    }
}
