//! The outcome of a consent, as one word in an address. Nothing else of the callback enters the
//! address.

use crate::engine::consent::poll::ConsentState;
use crate::error::{ConsentError, Error};
use crate::model::ConnectionId;
use crate::protocol::AuthorizationError;

/// The outcome of a consent that ended without a connection.
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

/// The state of a consent to which a browser is redirected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lead {
    Connection(ConnectionId),
    /// The consent is still pending: a page waits for it.
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

    /// Returns the outcome that the page shows for an error that ended a consent. The match is
    /// exhaustive, so that each new error has to be classified.
    pub(super) const fn of(error: &Error) -> Self {
        match error {
            Error::Consent(error) => Self::of_consent(error),
            Error::InvalidValue(error) if error.is_callback() => Self::NotValid,
            Error::NotFound => Self::NotValid,
            Error::Parameter(_) | Error::ChoiceRequired { .. } => Self::Parameter,
            Error::UnknownProvider { .. } => Self::NotOffered,
            Error::NotOneGrant(_) => Self::NotOneGrant,
            Error::NotPermitted | Error::InUse(_) | Error::Denied { .. } | Error::LabelRequired(_) => {
                Self::NotPermitted
            }
            #[cfg(feature = "mcp")]
            Error::Mcp(_) => Self::Misconfigured,
            Error::Misconfigured(_) => Self::Misconfigured,
            Error::Unavailable { .. } => Self::TryLater,
            Error::Vault(_) => Self::Unavailable,
            Error::ConsentRequired(_) => Self::Failed,
            Error::Ambiguous { .. }
            | Error::InvalidValue(_)
            | Error::Request(_)
            | Error::AnswerTooLarge { .. }
            | Error::RandomUnavailable => Self::Internal,
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
    use crate::error::{ConsentReason, ConsentRequired, Misconfigured, RequestRefused};
    use crate::model::{ConsentId, FailureCode, InvalidValue, ProviderId, Rule, UserId};
    use crate::provider::{InvalidParameter, ParameterProblem, UnknownProvider};
    use crate::vault::VaultError;

    /// Numbers the errors, so that a new error needs an outcome and a place in the table.
    const fn number(error: &Error) -> usize {
        match error {
            Error::ConsentRequired(_) => 0,
            Error::Ambiguous { .. } => 1,
            Error::Denied { .. } => 2,
            Error::Unavailable { .. } => 3,
            Error::Misconfigured(_) => 4,
            Error::Vault(_) => 5,
            Error::InvalidValue(error) if error.is_callback() => 6,
            Error::UnknownProvider { .. } => 7,
            Error::NotFound => 8,
            Error::NotPermitted => 9,
            Error::NotOneGrant(_) => 10,
            Error::Parameter(_) => 11,
            Error::ChoiceRequired { .. } => 12,
            Error::InvalidValue(_) => 13,
            Error::LabelRequired(_) => 14,
            Error::Request(_) => 15,
            Error::RandomUnavailable => 16,
            Error::Consent(error) => match error {
                ConsentError::Unknown => 17,
                ConsentError::Used(_) => 18,
                ConsentError::Expired => 19,
                ConsentError::WrongUser => 20,
                ConsentError::WrongBrowser => 21,
                ConsentError::IssuerMismatch => 22,
                ConsentError::Denied(_) => 23,
                ConsentError::ExchangeFailed(_) => 24,
                ConsentError::AccountMismatch => 25,
                ConsentError::AccountUnknown => 26,
                ConsentError::Conflict => 27,
            },
            Error::AnswerTooLarge { .. } => 28,
            Error::InUse(_) => 29,
            #[cfg(feature = "mcp")]
            Error::Mcp(_) => 30,
        }
    }

    #[test]
    fn every_error_leads_to_an_outcome_that_is_true_of_it() {
        let id = || ProviderId::new("jira").unwrap();
        let parameter = InvalidParameter {
            name: "site".into(),
            problem: ParameterProblem::Missing,
        };
        let name = UserId::new("").unwrap_err();
        let table: Vec<(Error, Outcome)> = vec![
            (
                ConsentRequired::new(id(), ConsentReason::NotConnected).into(),
                Outcome::Failed,
            ),
            (
                Error::Ambiguous {
                    provider: id().into(),
                    accounts: 2,
                    labels: Vec::new(),
                },
                Outcome::Internal,
            ),
            (
                Error::Denied {
                    provider: id().into(),
                    tool: None,
                },
                Outcome::NotPermitted,
            ),
            (Error::unavailable(FailureCode::TimedOut), Outcome::TryLater),
            (Misconfigured::NoHttpClient.into(), Outcome::Misconfigured),
            (VaultError::Damaged.into(), Outcome::Unavailable),
            (InvalidValue::from(Rule::MissingCode).into(), Outcome::NotValid),
            (
                UnknownProvider::new("gmial", std::iter::empty()).into(),
                Outcome::NotOffered,
            ),
            (Error::NotFound, Outcome::NotValid),
            (Error::NotPermitted, Outcome::NotPermitted),
            (Error::NotOneGrant(id().into()), Outcome::NotOneGrant),
            (parameter.into(), Outcome::Parameter),
            (
                Error::ChoiceRequired {
                    provider: id().into(),
                    parameter: "site".into(),
                    choices: Vec::new(),
                },
                Outcome::Parameter,
            ),
            (name.into(), Outcome::Internal),
            (Error::LabelRequired(id().into()), Outcome::NotPermitted),
            (RequestRefused::Address.into(), Outcome::Internal),
            (Error::RandomUnavailable, Outcome::Internal),
            (ConsentError::Unknown.into(), Outcome::NotValid),
            (
                ConsentError::Used(ConsentId::from_bytes([0; 16])).into(),
                Outcome::NotValid,
            ),
            (ConsentError::Expired.into(), Outcome::NotValid),
            (ConsentError::WrongUser.into(), Outcome::NotValid),
            (ConsentError::WrongBrowser.into(), Outcome::OtherBrowser),
            (ConsentError::IssuerMismatch.into(), Outcome::OtherServer),
            (
                ConsentError::Denied(AuthorizationError::AccessDenied).into(),
                Outcome::Denied,
            ),
            (
                ConsentError::ExchangeFailed(FailureCode::TimedOut).into(),
                Outcome::Failed,
            ),
            (ConsentError::AccountMismatch.into(), Outcome::OtherAccount),
            (ConsentError::AccountUnknown.into(), Outcome::UnknownAccount),
            (ConsentError::Conflict.into(), Outcome::Conflict),
            (Error::AnswerTooLarge { limit: None }, Outcome::Internal),
            (Error::InUse(id().into()), Outcome::NotPermitted),
            #[cfg(feature = "mcp")]
            (Error::Mcp(crate::error::McpError::Url), Outcome::Misconfigured),
        ];
        for (at, (error, outcome)) in table.iter().enumerate() {
            assert_eq!(number(error), at, "{error:?}");
            assert_eq!(Outcome::of(error), *outcome, "{error:?}");
        }
        assert_eq!(table.len(), 30 + usize::from(cfg!(feature = "mcp")));
    }

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
