//! The values that a connection brings for a descriptor's URLs.

use crate::model::Parameters;
use crate::provider::template::{base_url, is_word};
use crate::provider::{AuthorizationServer, Transport};

/// A placeholder of a server's URLs, and what may stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ParameterRule {
    /// The name, as in `{name}`.
    pub name: String,
    /// What may stand in it.
    pub kind: ParameterKind,
    /// The value when the host names none. Absent: the host must name one.
    #[cfg_attr(feature = "serde", serde(default))]
    pub default: Option<String>,
}

/// What may stand in a placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ParameterKind {
    /// Letters, digits, `.` and `-`, at most 253: a host label, a tenant's name or id.
    Word,
    /// A base URL: https, a host, perhaps a port and a path; no user, query, fragment or trailing slash.
    BaseUrl,
    /// One of these.
    OneOf(Vec<String>),
}

/// Why the parameters of a connection are not accepted. Names the parameter, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the parameter \"{name}\" {problem}")]
#[non_exhaustive]
pub struct InvalidParameter {
    /// The parameter. One that the server does not have is given as `?`: the name may be anything.
    pub name: String,
    /// What is wrong with it.
    pub problem: ParameterProblem,
}

/// What is wrong with a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterProblem {
    /// The server has no such parameter.
    #[error("is not known to this server")]
    Unknown,
    /// It has no default and was not given.
    #[error("is missing")]
    Missing,
    /// The value is not of its kind.
    #[error("does not have an allowed value")]
    Malformed,
}

impl ParameterKind {
    /// The value as it is kept, if it is of this kind.
    fn accept(&self, value: &str, transport: Transport) -> Option<String> {
        match self {
            Self::Word => is_word(value).then(|| value.into()),
            Self::BaseUrl => {
                let value = base_url(value)?;
                let allowed = transport == Transport::HttpsOrLoopback || value.starts_with("https:");
                allowed.then(|| value.into())
            }
            Self::OneOf(values) => values.iter().find(|one| *one == value).cloned(),
        }
    }

    /// Whether a value of this kind may begin a template.
    pub(super) fn is_base_url(&self) -> bool {
        match self {
            Self::Word => false,
            Self::BaseUrl => true,
            Self::OneOf(values) => !values.is_empty() && values.iter().all(|value| base_url(value).is_some()),
        }
    }

    /// Whether a value of this kind may stand inside a template.
    pub(super) fn is_word(&self) -> bool {
        match self {
            Self::Word => true,
            Self::BaseUrl => false,
            Self::OneOf(values) => !values.is_empty() && values.iter().all(|value| is_word(value)),
        }
    }
}

impl ParameterRule {
    /// Whether the default, if there is one, is of the rule's kind.
    pub(super) fn default_is_accepted(&self, transport: Transport) -> bool {
        self.default
            .as_ref()
            .is_none_or(|value| self.kind.accept(value, transport).is_some())
    }
}

impl AuthorizationServer {
    /// The parameters of a connection: checked, cut to their kept form, with the defaults for those not given.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`] for the first that is unknown, missing or malformed.
    ///
    /// # Security
    ///
    /// A base URL may name any host, one inside your network too: whether a user may choose one, and
    /// which, is the host's decision. Take it from your configuration where you can.
    pub fn complete_parameters(
        &self,
        given: &Parameters,
        transport: Transport,
    ) -> Result<Parameters, InvalidParameter> {
        if given
            .keys()
            .any(|name| self.parameters.iter().all(|rule| rule.name != *name))
        {
            return Err(InvalidParameter {
                name: "?".into(),
                problem: ParameterProblem::Unknown,
            });
        }
        self.parameters
            .iter()
            .map(|rule| {
                let invalid = |problem| InvalidParameter {
                    name: rule.name.clone(),
                    problem,
                };
                let value = given
                    .get(&rule.name)
                    .or(rule.default.as_ref())
                    .ok_or_else(|| invalid(ParameterProblem::Missing))?;
                let value = rule
                    .kind
                    .accept(value, transport)
                    .ok_or_else(|| invalid(ParameterProblem::Malformed))?;
                Ok((rule.name.clone(), value))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServerId;

    fn server(kind: ParameterKind, default: Option<&str>) -> AuthorizationServer {
        let id = ServerId::new("as").unwrap();
        let mut server = AuthorizationServer::new(id, "https://as.test/{x}", "https://as.test/{x}");
        server.parameters.push(ParameterRule {
            name: "x".into(),
            kind,
            default: default.map(Into::into),
        });
        server
    }

    fn complete(
        kind: ParameterKind,
        default: Option<&str>,
        given: Option<&str>,
    ) -> Result<String, ParameterProblem> {
        let given = given
            .map(|value| ("x".to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        server(kind, default)
            .complete_parameters(&given, Transport::HttpsOnly)
            .map(|mut complete| complete.remove("x").unwrap())
            .map_err(|error| {
                assert_eq!(error.name, "x");
                error.problem
            })
    }

    #[test]
    fn values_are_checked_by_kind_and_defaults_fill_the_gaps() {
        use ParameterKind::{BaseUrl, OneOf, Word};
        use ParameterProblem::{Malformed, Missing};
        let one_of = || OneOf(vec!["eu".into(), "us".into()]);
        for (kind, default, given, expected) in [
            (Word, Some("common"), None, Ok("common")),
            (Word, Some("common"), Some("contoso.com"), Ok("contoso.com")),
            (Word, None, None, Err(Missing)),
            (Word, Some("common"), Some(""), Err(Malformed)),
            (Word, None, Some("a/b"), Err(Malformed)),
            (Word, None, Some(&"a".repeat(254)), Err(Malformed)),
            (
                BaseUrl,
                None,
                Some("https://git.test/lab/"),
                Ok("https://git.test/lab"),
            ),
            (BaseUrl, None, Some("http://127.0.0.1:80"), Err(Malformed)),
            (BaseUrl, None, Some("https://u@git.test"), Err(Malformed)),
            (one_of(), None, Some("eu"), Ok("eu")),
            (one_of(), None, Some("EU"), Err(Malformed)),
        ] {
            let label = format!("{kind:?} {given:?}");
            assert_eq!(
                complete(kind, default, given),
                expected.map(Into::into),
                "{label}"
            );
        }
    }

    #[test]
    fn an_unknown_parameter_is_refused_without_an_echo() {
        let given = Parameters::from([("<script>".into(), "v".into())]);
        let error = server(ParameterKind::Word, Some("a"))
            .complete_parameters(&given, Transport::HttpsOnly)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the parameter \"?\" is not known to this server"
        );
    }

    #[test]
    fn plain_http_needs_the_loopback_transport() {
        let given = Parameters::from([("x".into(), "http://127.0.0.1:8080/".into())]);
        let server = server(ParameterKind::BaseUrl, None);
        let complete = server
            .complete_parameters(&given, Transport::HttpsOrLoopback)
            .unwrap();
        assert_eq!(complete["x"], "http://127.0.0.1:8080");
        assert!(server.complete_parameters(&given, Transport::HttpsOnly).is_err());
    }
}
