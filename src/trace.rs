//! Spans at the seams and events, for the host's subscriber (feature `tracing`): their names and fields, all in one place.
//!
//! What operators may rely on is the table in `docs/tracing.md`. Fields hold ids, codes and times: never a URL with a query, a
//! body, a header or a server's words. Without the feature nothing of this is compiled in.

use crate::error::Result;
use crate::model::{Connection, ConnectionId, Event, ProviderId, TenantId, UserId};

/// Where a span is.
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

/// Who it is about, as far as that is known at the beginning. Names that nobody knows are not repeated: whoever asks for
/// a provider may be a model.
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
pub(crate) use off::{event, provider, within};
#[cfg(feature = "tracing")]
pub(crate) use on::{event, provider, within};

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

    pub(crate) const fn event(_: &Event) {}
}

#[cfg(feature = "tracing")]
mod on {
    use std::time::Instant;

    use tracing::Span;
    use tracing::field::{Empty, display};

    use super::{About, Event, ProviderId, Result, Seam, TenantId, UserId};
    use crate::error::{ConsentError, ConsentReason, DenialReason, Error, Misconfigured};

    /// Runs `act` in a span that says how it ended.
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

    /// Adds the provider to the span that is open, where it was not known when the span began.
    pub(crate) fn provider(id: &ProviderId) {
        Span::current().record("provider", id.as_str());
    }

    /// What happened, after it was stored.
    pub(crate) fn event(event: &Event) {
        tracing::info!(
            target: "valetkey",
            tenant = event.tenant.as_ref().map(TenantId::as_str),
            user = event.user.as_ref().map(UserId::as_str),
            provider = event.provider.as_ref().map(ProviderId::as_str),
            connection = event.connection.map(display),
            "{:?}",
            event.kind
        );
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
                // In every turn, many times.
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

    /// The error in one word, and the kind of it in another.
    const fn described(error: &Error) -> (&'static str, Option<&'static str>) {
        match error {
            Error::ConsentRequired(need) => ("consent_required", Some(consent_reason(need.reason))),
            Error::Ambiguous(_) => ("ambiguous", None),
            Error::Unavailable(unavailable) => ("unavailable", Some(unavailable.failure.as_str())),
            Error::Misconfigured(misconfigured) => ("misconfigured", Some(misconfiguration(misconfigured))),
            Error::Vault(_) => ("vault", None),
            Error::Consent(consent) => ("consent", Some(consent_error(consent))),
            Error::Callback(_) => ("callback", None),
            Error::UnknownProvider(_) => ("unknown_provider", None),
            Error::NotFound => ("not_found", None),
            Error::NotPermitted => ("not_permitted", None),
            Error::Denied(denied) => ("denied", Some(denial_reason(denied.reason))),
            Error::NotOneGrant(_) => ("not_one_grant", None),
            Error::Parameter(_) => ("parameter", None),
            Error::Id(_) => ("id", None),
            Error::Scope(_) => ("scope", None),
            Error::Request(_) => ("request_refused", None),
            Error::Random(_) => ("random", None),
        }
    }

    const fn consent_reason(reason: ConsentReason) -> &'static str {
        match reason {
            ConsentReason::NotConnected => "not_connected",
            ConsentReason::MissingScopes => "missing_scopes",
            ConsentReason::Expired => "expired",
            ConsentReason::Rejected => "rejected",
            ConsentReason::LostInFlight => "lost_in_flight",
            ConsentReason::RejectedAfterRefresh => "rejected_after_refresh",
        }
    }

    const fn denial_reason(reason: DenialReason) -> &'static str {
        match reason {
            DenialReason::Listed => "listed",
            DenialReason::LabelRequired => "label_required",
        }
    }

    const fn consent_error(error: &ConsentError) -> &'static str {
        match error {
            ConsentError::Unknown => "unknown",
            ConsentError::Used => "used",
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
            Misconfigured::NoClient(_) => "no_client",
            Misconfigured::ClientRejected(_) => "client_rejected",
            Misconfigured::RequestRejected { failure, .. } => failure.as_str(),
            Misconfigured::IssuerChanged(_) => "issuer_changed",
            Misconfigured::InstanceNotRegistered(_) => "instance_not_registered",
            Misconfigured::Descriptor(_) => "descriptor",
            Misconfigured::Template(_) => "template",
            Misconfigured::NoHttpClient => "no_http_client",
            Misconfigured::NoUploads => "no_uploads",
        }
    }
}
