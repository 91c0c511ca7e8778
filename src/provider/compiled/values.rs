//! Checks and collects the values of a connection from their sources.

use crate::model::Parameters;
use crate::provider::compiled::checked::UnfitParameter;
use crate::provider::compiled::server::CompiledServer;
use crate::provider::{InvalidParameter, ParameterProblem, ParameterSource, Pointer, Transport};

impl CompiledServer {
    /// Returns the parameters of a connection: checked, in their stored form, with the defaults for
    /// those not given. Those from other sources than the host may still be missing.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`] for the first that is unknown, missing or malformed.
    ///
    /// # Security
    ///
    /// A base URL may name any host here.
    /// [`ClientRegistration::for_base_urls`](crate::provider::ClientRegistration::for_base_urls)
    /// decides which of them receive secrets; hosts inside a network are refused unless it lists
    /// them. Both are checked before a request is sent, not by this method.
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
        let mut complete = Parameters::new();
        for rule in &self.parameters {
            let named = given
                .get(&rule.name)
                .filter(|value| !(value.is_empty() && rule.may_be_missing()));
            let default = rule.default.as_ref().filter(|value| !value.is_empty());
            let Some(value) = named.or(default) else {
                if rule.may_be_missing() || rule.source != ParameterSource::Host {
                    continue;
                }
                return Err(rule.invalid(ParameterProblem::Missing));
            };
            complete.insert(rule.name.clone(), rule.accept(value, transport)?);
        }
        // The values of a word or a host can produce a text that is not a URL.
        match self.check(&complete) {
            Ok(_) => Ok(complete),
            Err(UnfitParameter { name }) => Err(InvalidParameter {
                name,
                problem: ParameterProblem::Malformed,
            }),
        }
    }

    /// Returns the values in the callback, as their rules require.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`] if a rule does not allow its value. A missing value is not an error
    /// here.
    pub(crate) fn captured_from_callback<'v>(
        &self,
        found: impl Fn(&str) -> Option<&'v str>,
        transport: Transport,
    ) -> Result<Parameters, InvalidParameter> {
        self.captured(transport, |source| match source {
            ParameterSource::Callback(name) => found(name).map(Into::into),
            _ => None,
        })
    }

    /// Returns the values in the token response, as their rules require.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`] if a rule does not allow its value. A missing value is not an error
    /// here.
    pub(crate) fn captured_from_answer(
        &self,
        found: impl Fn(&Pointer) -> Option<String>,
        transport: Transport,
    ) -> Result<Parameters, InvalidParameter> {
        self.captured(transport, |source| match source {
            ParameterSource::TokenAnswer(pointer) => found(pointer),
            _ => None,
        })
    }

    fn captured(
        &self,
        transport: Transport,
        found: impl Fn(&ParameterSource) -> Option<String>,
    ) -> Result<Parameters, InvalidParameter> {
        let mut captured = Parameters::new();
        for rule in &self.parameters {
            if let Some(value) = found(&rule.source) {
                captured.insert(rule.name.clone(), rule.accept(&value, transport)?);
            }
        }
        Ok(captured)
    }

    /// Checks that the consent has provided all values that are not optional.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`] names the first missing value.
    pub(crate) fn check_captured(&self, parameters: &Parameters) -> Result<(), InvalidParameter> {
        let missing = self
            .parameters
            .iter()
            .find(|rule| !rule.may_be_missing() && !parameters.contains_key(&rule.name));
        missing.map_or(Ok(()), |rule| Err(rule.invalid(ParameterProblem::Missing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServerId;
    use crate::provider::{AuthorizationServer, ParameterKind, ParameterRule};

    fn server(kind: ParameterKind, default: Option<&str>) -> CompiledServer {
        let id = ServerId::new("as").unwrap();
        // The URL accepts each kind of value, to find those that the rule allows.
        let place = match kind {
            ParameterKind::BaseUrl | ParameterKind::Origin => "{x}/a",
            _ => "https://as.test/{x}",
        };
        let mut server = AuthorizationServer::new(id, place, place);
        let mut rule = ParameterRule::new("x", kind);
        rule.default = default.map(Into::into);
        server.parameters.push(rule);
        CompiledServer::compile(server).unwrap()
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
        use ParameterKind::{BaseUrl, OneOf, Origin, Word};
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
            (BaseUrl, None, Some(" https://git.test\n"), Ok("https://git.test")),
            (Word, None, Some("\tacme "), Ok("acme")),
            (
                Origin,
                None,
                Some("https://git.test/lab/?x#y"),
                Ok("https://git.test"),
            ),
            (
                Origin,
                None,
                Some("Git.test:8443/lab"),
                Ok("https://git.test:8443"),
            ),
            (Origin, None, Some("https://git.test?x"), Ok("https://git.test")),
            (Origin, None, Some("http://git.test/"), Err(Malformed)),
            (Origin, None, Some("https://u@git.test/"), Err(Malformed)),
            (
                Origin,
                None,
                Some("https://git.test\\@evil.test/"),
                Err(Malformed),
            ),
            (Origin, None, Some("https:///lab"), Err(Malformed)),
            (Origin, None, Some("javascript:alert(1)"), Err(Malformed)),
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
            "the parameter \"?\" is not known to this server; remove it"
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

    #[test]
    fn a_word_that_makes_no_host_is_refused_where_it_is_given() {
        let id = ServerId::new("as").unwrap();
        let mut server = AuthorizationServer::new(id, "https://{x}/a", "https://{x}/t");
        server
            .parameters
            .push(ParameterRule::new("x", ParameterKind::Word));
        let server = CompiledServer::compile(server).unwrap();
        for (given, is_accepted) in [("as.test", true), ("1.2.3.999", false)] {
            let given = Parameters::from([("x".into(), given.into())]);
            let found = server.complete_parameters(&given, Transport::HttpsOnly);
            let problem = found.err().map(|error| (error.name, error.problem));
            let refused = Some(("x".into(), ParameterProblem::Malformed));
            assert_eq!(problem, refused.filter(|_| !is_accepted));
        }
    }
}
