//! How a consent ended, in a word that stands in an address: nothing of the callback goes there.

use crate::error::{ConsentError, Error};
use crate::manager::ConsentState;
use crate::model::ConnectionId;
use crate::protocol::AuthorizationError;

/// How a consent ended without a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Denied,
    Refused,
    Interaction,
    TryLater,
    NotValid,
    OtherBrowser,
    OtherServer,
    Withdrawn,
    Failed,
    Conflict,
    OtherAccount,
    UnknownAccount,
    Parameter,
    NotOffered,
    NotOneGrant,
    NotPermitted,
    Misconfigured,
    Unavailable,
    Internal,
}

/// Where a consent stands, as a browser is led there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lead {
    Connection(ConnectionId),
    /// It is still being answered: a page waits for it.
    Waiting,
    Ended(Outcome),
}

impl Lead {
    pub(super) const fn of(state: ConsentState) -> Self {
        match state {
            ConsentState::Completed(connection) => Self::Connection(connection),
            ConsentState::Pending | ConsentState::Opened => Self::Waiting,
            ConsentState::Denied => Self::Ended(Outcome::Denied),
            ConsentState::Failed => Self::Ended(Outcome::Failed),
            ConsentState::Expired => Self::Ended(Outcome::NotValid),
            ConsentState::Cancelled => Self::Ended(Outcome::Withdrawn),
        }
    }
}

impl Outcome {
    pub(super) const ALL: [(Self, &'static str); 19] = [
        (Self::Denied, "denied"),
        (Self::Refused, "refused"),
        (Self::Interaction, "interaction"),
        (Self::TryLater, "try-later"),
        (Self::NotValid, "not-valid"),
        (Self::OtherBrowser, "other-browser"),
        (Self::OtherServer, "other-server"),
        (Self::Withdrawn, "withdrawn"),
        (Self::Failed, "failed"),
        (Self::Conflict, "conflict"),
        (Self::OtherAccount, "other-account"),
        (Self::UnknownAccount, "unknown-account"),
        (Self::Parameter, "parameter"),
        (Self::NotOffered, "not-offered"),
        (Self::NotOneGrant, "not-one-grant"),
        (Self::NotPermitted, "not-permitted"),
        (Self::Misconfigured, "misconfigured"),
        (Self::Unavailable, "unavailable"),
        (Self::Internal, "internal"),
    ];

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(_, known)| *known == word)
            .map(|(outcome, _)| outcome)
    }

    pub(super) fn word(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(outcome, _)| *outcome == self)
            .map_or("internal", |(_, word)| word)
    }

    /// What a person is told about an error that ended a consent. Every error is named: a new one has to be thought of.
    pub(super) const fn of(error: &Error) -> Self {
        match error {
            Error::Consent(error) => Self::of_consent(error),
            Error::Callback(_) | Error::NotFound => Self::NotValid,
            Error::Parameter(_) | Error::ChoiceRequired(_) => Self::Parameter,
            Error::UnknownProvider => Self::NotOffered,
            Error::NotOneGrant(_) => Self::NotOneGrant,
            Error::NotPermitted | Error::Denied(_) => Self::NotPermitted,
            Error::Misconfigured(_) => Self::Misconfigured,
            Error::Unavailable(_) => Self::TryLater,
            Error::Vault(_) => Self::Unavailable,
            Error::ConsentRequired(_) => Self::Failed,
            Error::Ambiguous(_) | Error::Id(_) | Error::Scope(_) | Error::Request(_) | Error::Random(_) => {
                Self::Internal
            }
        }
    }

    const fn of_consent(error: &ConsentError) -> Self {
        match error {
            ConsentError::Denied(error) => Self::of_denial(*error),
            ConsentError::Unknown
            | ConsentError::Used(_)
            | ConsentError::Expired
            | ConsentError::WrongUser => Self::NotValid,
            ConsentError::WrongBrowser => Self::OtherBrowser,
            ConsentError::IssuerMismatch => Self::OtherServer,
            ConsentError::ExchangeFailed(_) => Self::Failed,
            ConsentError::AccountMismatch => Self::OtherAccount,
            ConsentError::AccountUnknown => Self::UnknownAccount,
            ConsentError::Conflict => Self::Conflict,
        }
    }

    const fn of_denial(error: AuthorizationError) -> Self {
        match error {
            AuthorizationError::AccessDenied => Self::Denied,
            AuthorizationError::ServerError | AuthorizationError::TemporarilyUnavailable => Self::TryLater,
            AuthorizationError::ConsentRequired
            | AuthorizationError::LoginRequired
            | AuthorizationError::InteractionRequired => Self::Interaction,
            AuthorizationError::InvalidRequest
            | AuthorizationError::UnauthorizedClient
            | AuthorizationError::UnsupportedResponseType
            | AuthorizationError::InvalidScope
            | AuthorizationError::InvalidTarget => Self::Misconfigured,
            AuthorizationError::Other => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_outcome_has_a_word_of_its_own() {
        let words: HashSet<_> = Outcome::ALL.into_iter().map(|(_, word)| word).collect();
        let outcomes: HashSet<_> = Outcome::ALL.into_iter().map(|(outcome, _)| outcome).collect();
        assert_eq!((words.len(), outcomes.len()), (19, 19));
        for (outcome, word) in Outcome::ALL {
            assert_eq!(outcome.word(), word);
            assert_eq!(Outcome::from_word(word), Some(outcome));
        }
        assert_eq!(Outcome::from_word("<script>"), None);
    }

    #[test]
    fn a_trouble_of_the_server_is_not_a_refusal() {
        use AuthorizationError as E;
        for (error, outcome) in [
            (E::AccessDenied, Outcome::Denied),
            (E::ServerError, Outcome::TryLater),
            (E::TemporarilyUnavailable, Outcome::TryLater),
            (E::LoginRequired, Outcome::Interaction),
            (E::ConsentRequired, Outcome::Interaction),
            (E::InteractionRequired, Outcome::Interaction),
            (E::InvalidScope, Outcome::Misconfigured),
            (E::UnauthorizedClient, Outcome::Misconfigured),
            (E::InvalidRequest, Outcome::Misconfigured),
            (E::Other, Outcome::Refused),
        ] {
            assert_eq!(
                Outcome::of(&ConsentError::Denied(error).into()),
                outcome,
                "{error}"
            );
            assert_eq!(outcome == Outcome::TryLater, error.is_retryable(), "{error}");
        }
    }
}
