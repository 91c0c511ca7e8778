//! The authorization request
//! ([RFC 6749 §4.1.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1)).

use std::borrow::Cow;
use std::collections::BTreeMap;

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, ResponseType};
use url::{Position, Url};
use zeroize::Zeroizing;

use crate::model::{Parameters, Scopes};
use crate::protocol::form::{Fields, pairs};
use crate::protocol::hints::Hints;
use crate::provider::Pkce;
use crate::provider::compiled::{AddedParameters, CompiledServer};
use crate::provider::value::AddedValue;
use crate::random;
use crate::random::RandomUnavailable;
use crate::secret::{Binding, PkceVerifier, SecretText, State};

/// Returns a new `state`: 256 random bits, without information about the user
/// ([RFC 6749 §10.10](https://www.rfc-editor.org/rfc/rfc6749#section-10.10)).
///
/// # Errors
///
/// [`RandomUnavailable`] if the operating system returns no random numbers.
pub(crate) fn new_state() -> Result<State, RandomUnavailable> {
    Ok(State::new(random::token_256()?.as_str()))
}

/// Returns a new PKCE verifier: 256 random bits as 43 characters
/// ([RFC 7636 §4.1](https://www.rfc-editor.org/rfc/rfc7636#section-4.1)).
///
/// # Errors
///
/// [`RandomUnavailable`] if the operating system returns no random numbers.
pub(crate) fn new_verifier() -> Result<PkceVerifier, RandomUnavailable> {
    Ok(PkceVerifier::new(random::token_256()?.as_str()))
}

/// Returns a new binding, which ties a consent to the browser that started it
/// ([RFC 9700 §2.1](https://www.rfc-editor.org/rfc/rfc9700#section-2.1)).
///
/// # Errors
///
/// [`RandomUnavailable`] if the operating system returns no random numbers.
pub(crate) fn new_binding() -> Result<Binding, RandomUnavailable> {
    Ok(Binding::new(random::token_256()?.as_str()))
}

/// Returns the S256 challenge of a verifier
/// ([RFC 7636 §4.2](https://www.rfc-editor.org/rfc/rfc7636#section-4.2)), or `None` if the verifier
/// does not have 43 to 128 characters.
fn challenge(verifier: &PkceVerifier) -> Option<PkceCodeChallenge> {
    let verifier = verifier.expose_secret();
    if !(43..=128).contains(&verifier.len()) {
        return None;
    }
    // `PkceCodeVerifier` does not wipe its string, so the string is taken back out of it.
    let lent = PkceCodeVerifier::new(verifier.to_owned());
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&lent);
    drop(Zeroizing::new(lent.into_secret()));
    Some(challenge)
}

/// Encodes text for a query, but only characters that would end the query or break the URL.
fn raw_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'&' | b'#' | b'%' | b'"' | b'<' | b'>' | b'\'' | 0..=0x20 | 0x7f.. => {
                out.push_str(&format!("%{byte:02X}"));
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}

/// An authorization request with `response_type=code`
/// ([RFC 6749 §4.1.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1)).
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct AuthorizationRequest<'a> {
    /// The server.
    pub server: &'a CompiledServer,
    /// The parameters that the services add, in addition to the server's.
    pub added: &'a AddedParameters,
    /// The values of the connection.
    pub parameters: &'a Parameters,
    /// The server's authorization endpoint, with its placeholders filled in.
    pub endpoint: &'a Url,
    /// The host's client id.
    pub client_id: &'a str,
    /// The URI that the browser returns to.
    pub redirect_uri: &'a str,
    /// The requested scopes.
    pub scopes: &'a Scopes,
    /// The value that ties the callback to this request.
    pub state: &'a State,
    /// The value that ties the code to this request. Used if and only if the server supports PKCE.
    pub verifier: Option<&'a PkceVerifier>,
    /// The host's requests to the consent page.
    pub hints: &'a Hints,
}

impl AuthorizationRequest<'_> {
    /// Returns the URL to send the browser to. The endpoint's own query is kept, each parameter
    /// appears once, and empty parameters are omitted
    /// ([RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1)).
    ///
    /// # Security
    ///
    /// The URL contains the `state`: show it only to the user who started the consent, and do not
    /// pass it to a shell to be opened.
    #[must_use]
    pub fn url(&self) -> Url {
        let Some(mut added) = self.added() else {
            // The server refuses a request without parameters, which is the safe outcome. The same
            // applies below.
            return self.endpoint.clone();
        };
        let response_type = added.remove("response_type");
        let endpoint = self.bare_endpoint(&added);
        let own = endpoint.query().unwrap_or_default().to_owned();
        let Some(request) = self.without_state(
            endpoint.clone(),
            response_type.as_deref().unwrap_or("code"),
            &added,
        ) else {
            return endpoint;
        };
        let mut fields = Fields::new();
        let parameters = request.query().unwrap_or_default();
        let parameters = parameters.strip_prefix(own.as_str()).unwrap_or(parameters);
        let parameters: Vec<_> = pairs(parameters.as_bytes()).collect();
        for (name, value) in &parameters {
            let is_state = name.as_str() == "state";
            fields.lend(
                name,
                if is_state {
                    self.state.expose_secret()
                } else {
                    value
                },
            );
        }
        let mut url = SecretText::default();
        url.push_str(&endpoint[..Position::AfterPath]);
        if let Some(route) = &self.server.authorization_fragment {
            url.push_str(if route.starts_with('/') { "#" } else { "#/" });
            url.push_str(route);
        }
        url.push_str("?");
        self.write_query(&own, fields, &mut url);
        let url = Zeroizing::new(url.into_string());
        // A URL remains valid with another query. If it did not, the server would refuse the bare
        // endpoint.
        Url::parse(&url).unwrap_or(endpoint)
    }

    /// Returns the request as `oauth2` writes it, with an empty state, because a URL that grows
    /// leaves copies of its text in memory. `None` if the redirect URI is not a URL.
    fn without_state(
        &self,
        endpoint: Url,
        response_type: &str,
        added: &BTreeMap<&str, Cow<'_, str>>,
    ) -> Option<Url> {
        let client = BasicClient::new(ClientId::new(self.client_id.to_owned()))
            .set_auth_uri(AuthUrl::from_url(endpoint))
            .set_redirect_uri(RedirectUrl::new(self.redirect_uri.to_owned()).ok()?);
        let mut request = client
            .authorize_url(|| CsrfToken::new(String::new()))
            .set_response_type(&ResponseType::new(response_type.to_owned()));
        for (name, value) in added {
            request = request.add_extra_param(*name, value.as_ref());
        }
        Some(request.url().0)
    }

    /// Writes the endpoint's own query and the fields, under this server's names and with its
    /// resources.
    fn write_query(&self, own: &str, fields: Fields<'_>, out: &mut SecretText) {
        let server = self.server;
        if server.authorization_renames.is_empty()
            && server.resources.is_empty()
            && !server.raw_scope
            && server.authorization_fragment.is_none()
        {
            out.push_str(own);
            if !own.is_empty() {
                out.push_str("&");
            }
            out.push_str(&fields.to_form());
            return;
        }
        // The endpoint's own query is rewritten, also under the server's names.
        let own: Vec<_> = pairs(own.as_bytes()).collect();
        let mut all = Fields::new();
        for (name, value) in &own {
            all.lend(name, value);
        }
        all.append(fields);
        all.rename(|name| match server.authorization_renames.get(name) {
            Some(new) => Some(new.as_str()).filter(|new| !new.is_empty()),
            None => Some(name),
        });
        let raw_scope = if server.raw_scope { all.take("scope") } else { None };
        for resource in &server.resources {
            all.lend("resource", resource);
        }
        out.push_str(&all.to_form());
        if let Some(scope) = raw_scope {
            out.push_str("&scope=");
            out.push_str(&raw_text(&scope));
        }
    }

    /// Returns all parameters except three of the protocol's own, without the empty ones.
    /// `response_type` is included if the descriptor has it. `None` if the server supports PKCE and
    /// the verifier is not valid.
    fn added(&self) -> Option<BTreeMap<&str, Cow<'_, str>>> {
        let mut added: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
        for (name, value) in self.server.added_to_authorization().iter().chain(self.added) {
            added.insert(name, Cow::Owned(self.value(value)));
        }
        if let Some(prompt) = self.hints.prompt {
            let prompt = prompt.beside(added.get("prompt").map(AsRef::as_ref));
            added.insert("prompt", Cow::Owned(prompt));
        }
        if let Some(hint) = &self.hints.login_hint {
            added.insert("login_hint", Cow::Borrowed(hint));
        }
        if let Some(age) = self.hints.max_age {
            added.insert("max_age", Cow::Owned(age.as_secs().to_string()));
        }
        if let Some(classes) = &self.hints.acr_values {
            added.insert("acr_values", Cow::Borrowed(classes));
        }
        let scopes = self.scopes.join(&self.server.scope_separator);
        added.insert("scope", Cow::Owned(scopes));
        if let (Pkce::S256, Some(verifier)) = (self.server.pkce, self.verifier) {
            let challenge = challenge(verifier)?;
            added.insert("code_challenge", Cow::Owned(challenge.as_str().to_owned()));
            added.insert(
                "code_challenge_method",
                Cow::Owned(challenge.method().to_string()),
            );
        }
        added.retain(|_, value| !value.is_empty());
        Some(added)
    }

    /// Returns the value of an added parameter, with the known values of this request filled in.
    /// Empty if one of them is not known.
    fn value(&self, value: &AddedValue) -> String {
        let filled = value.fill(self.parameters, |name| match name {
            "client_id" => Some(self.client_id.to_owned()),
            "random" => random::token_256().ok().map(|random| random.as_str().to_owned()),
            _ => None,
        });
        filled.map_or_else(String::new, |text| text.as_str().to_owned())
    }

    /// Returns the endpoint, without the query parameters that this request sets itself.
    fn bare_endpoint(&self, added: &BTreeMap<&str, Cow<'_, str>>) -> Url {
        const WRITTEN: [&str; 4] = ["response_type", "client_id", "state", "redirect_uri"];
        let set_here = |name: &str| added.contains_key(name) || WRITTEN.contains(&name);
        let mut endpoint = self.endpoint.clone();
        if self.endpoint.query_pairs().any(|(name, _)| set_here(&name)) {
            endpoint.set_query(None);
            let kept = self.endpoint.query_pairs().filter(|(name, _)| !set_here(name));
            endpoint.query_pairs_mut().extend_pairs(kept);
        }
        endpoint
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::model::ServerId;
    use crate::protocol::hints::Prompt;
    use crate::provider::compiled::CompiledProvider;
    use crate::provider::{AuthorizationServer, Provider, catalog};

    fn build(server: &AuthorizationServer, provider: &Provider, endpoint: &str, hints: &Hints) -> Url {
        let compiled = CompiledProvider::compile(provider.clone()).unwrap();
        AuthorizationRequest {
            server: &CompiledServer::compile(server.clone()).unwrap(),
            added: compiled.added_to_authorization(),
            parameters: &Parameters::new(),
            endpoint: &Url::parse(endpoint).unwrap(),
            client_id: "client",
            redirect_uri: "https://app.test/cb?x=1",
            scopes: &"b a".parse().unwrap(),
            state: &State::new("st&te"),
            verifier: Some(&PkceVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")),
            hints,
        }
        .url()
    }

    /// Returns the query as a map; a duplicate name fails the test.
    fn query(url: &Url) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        for (name, value) in url.query_pairs() {
            assert!(
                map.insert(name.clone().into_owned(), value.into_owned())
                    .is_none(),
                "{name}"
            );
        }
        map
    }

    fn plain() -> AuthorizationServer {
        let id = ServerId::new("as").unwrap();
        AuthorizationServer::new(id, "https://as.test/a", "https://as.test/t")
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let challenge = challenge(&PkceVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
        let challenge = challenge.expect("a verifier");
        assert_eq!(challenge.as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    /// A request that would be weaker than intended, or different, has no parameters, so that the
    /// server refuses it.
    #[test]
    fn what_cannot_be_written_is_not_asked_for() {
        let server = CompiledServer::compile(plain()).unwrap();
        let provider = CompiledProvider::compile(catalog::gmail()).unwrap();
        let endpoint = Url::parse("https://as.test/a?p=B2C_1").unwrap();
        let (state, hints) = (State::new("state"), Hints::default());
        let build = |verifier: &str, redirect_uri: &str| {
            let request = AuthorizationRequest {
                server: &server,
                added: provider.added_to_authorization(),
                parameters: &Parameters::new(),
                endpoint: &endpoint,
                client_id: "client",
                redirect_uri,
                scopes: &"b a".parse().unwrap(),
                state: &state,
                verifier: Some(&PkceVerifier::new(verifier)),
                hints: &hints,
            };
            request.url()
        };
        assert_ne!(build(&"v".repeat(43), "https://app.test/cb"), endpoint);
        assert_eq!(build(&"v".repeat(42), "https://app.test/cb"), endpoint);
        assert_eq!(build(&"v".repeat(129), "https://app.test/cb"), endpoint);
        assert_eq!(build(&"v".repeat(43), "no URL"), endpoint);
    }

    #[test]
    fn a_plain_request_has_these_parameters_and_no_other() {
        let url = build(
            &plain(),
            &catalog::gmail(),
            "https://as.test/a?p=B2C_1",
            &Hints::default(),
        );
        let expected = [
            ("client_id", "client"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
            ("p", "B2C_1"),
            ("redirect_uri", "https://app.test/cb?x=1"),
            ("response_type", "code"),
            ("scope", "a b"),
            ("state", "st&te"),
        ];
        let expected: BTreeMap<_, _> = expected.map(|(name, value)| (name.into(), value.into())).into();
        assert_eq!(query(&url), expected);
        assert_eq!(url.as_str().split('?').next(), Some("https://as.test/a"));
    }

    #[test]
    fn descriptors_change_what_they_say_and_hints_add_to_it() {
        let mut server = plain();
        server.pkce = Pkce::Refused;
        server.scope_separator = ",".into();
        server
            .authorization_parameters
            .insert("prompt".into(), "consent".into());
        server
            .authorization_parameters
            .insert("audience".into(), String::new());
        let mut provider = catalog::gmail();
        provider
            .authorization_parameters
            .insert("audience".into(), "api".into());
        provider
            .authorization_parameters
            .insert("empty".into(), String::new());
        let mut hints = Hints {
            login_hint: Some("a@b.test".into()),
            prompt: Some(Prompt::SelectAccount),
            max_age: Some(Duration::from_secs(60)),
            acr_values: Some(String::new()),
        };
        let endpoint = "https://as.test/a?prompt=login&keep=1";
        let found = query(&build(&server, &provider, endpoint, &hints));
        for (name, value) in [
            ("scope", Some("a,b")),
            ("prompt", Some("consent select_account")),
            ("audience", Some("api")),
            ("login_hint", Some("a@b.test")),
            ("max_age", Some("60")),
            ("keep", Some("1")),
            ("acr_values", None),
            ("empty", None),
            ("code_challenge", None),
            ("code_challenge_method", None),
        ] {
            assert_eq!(found.get(name).map(String::as_str), value, "{name}");
        }
        hints.prompt = Some(Prompt::None);
        assert_eq!(
            query(&build(&server, &provider, endpoint, &hints))["prompt"],
            "none"
        );
        hints.prompt = Some(Prompt::Consent);
        assert_eq!(
            query(&build(&server, &provider, endpoint, &hints))["prompt"],
            "consent"
        );
    }

    #[test]
    fn states_verifiers_and_bindings_are_fresh_each_time() {
        let (one, other) = (new_verifier().unwrap(), new_verifier().unwrap());
        assert_eq!(one.expose_secret().len(), 43);
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert_ne!(
            new_state().unwrap().expose_secret(),
            new_state().unwrap().expose_secret()
        );
        assert_ne!(
            new_binding().unwrap().expose_secret(),
            new_binding().unwrap().expose_secret()
        );
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_added_each_parameter_comes_once_and_the_protocols_are_ours(
            added in proptest::collection::btree_map("[a-z_]{1,8}|prompt|audience", ".{0,8}", 0..5),
            query in "([a-z]{1,4}=[a-z]{0,3}&?){0,4}(prompt=x&|state=y&)?",
            hint in proptest::option::of(".{0,8}"),
        ) {
            let mut server = plain();
            server.authorization_parameters = added;
            // Names that validation rejects.
            for name in ["state", "scope", "code", "resource", "nonce", "request"] {
                server.authorization_parameters.remove(name);
            }
            let hints = Hints { login_hint: hint, ..Hints::default() };
            let endpoint = format!("https://as.test/a?{query}");
            let kept: Vec<_> = Url::parse(&endpoint).unwrap().query_pairs().into_owned().collect();
            let url = build(&server, &catalog::gmail(), &endpoint, &hints);
            let pairs: Vec<_> = url.query_pairs().into_owned().collect();
            for (name, value) in [("state", "st&te"), ("response_type", "code"), ("client_id", "client")] {
                let found: Vec<_> = pairs.iter().filter(|(found, _)| found == name).collect();
                assert_eq!(found, [&(name.to_owned(), value.to_owned())], "{url}");
            }
            for (name, value) in &server.authorization_parameters {
                let found = pairs.iter().filter(|(found, _)| found == name).count();
                let in_endpoint = kept.iter().filter(|(kept, _)| kept == name).count();
                // An empty parameter is not sent, and leaves the endpoint's own parameter
                // unchanged.
                assert_eq!(found, if value.is_empty() { in_endpoint } else { 1 }, "{name} in {url}");
            }
        }
    }
}
