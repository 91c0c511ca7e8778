//! A provider with parsed templates.

use std::ops::Deref;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

use crate::http::{HttpRequest, is_clean};
use crate::model::Parameters;
use crate::provider::compiled::server::{AddedParameters, added, headers, template};
use crate::provider::path::{stays_below, strip_segments};
use crate::provider::problem::{DescriptorProblem, InvalidDescriptor};
use crate::provider::syntax::is_segment;
use crate::provider::template::Template;
use crate::provider::value::AddedValue;
use crate::provider::{Provider, ProviderDescriptor};
use crate::random;

/// A provider with parsed templates. Dereferences to its descriptor.
#[derive(Debug)]
pub struct CompiledProvider {
    provider: Provider,
    api_base: Option<Template>,
    api_hosts: Vec<Host>,
    account: Option<Template>,
    discovery: Option<Template>,
    token_header: HeaderName,
    api_headers: Vec<(HeaderName, AddedValue)>,
    api_query: AddedParameters,
    authorization_parameters: AddedParameters,
    /// True if requests go to public addresses only.
    is_public: bool,
}

/// A host that may receive the access token.
#[derive(Debug)]
struct Host {
    origin: Template,
    path_prefix: AddedValue,
}

impl CompiledProvider {
    /// Parses the templates of a descriptor.
    ///
    /// # Errors
    ///
    /// [`InvalidDescriptor`] for the first template that cannot be parsed. A validated descriptor
    /// has none.
    pub fn compile(provider: Provider) -> Result<Self, InvalidDescriptor> {
        let descriptor = &provider.0;
        let id = descriptor.id.as_str();
        let read = |field, text: &str| template(id, field, text);
        let hosts = descriptor.api_hosts.iter().map(|host| {
            Ok(Host {
                origin: read("api_hosts", &host.origin)?,
                path_prefix: AddedValue::parse(&host.path_prefix),
            })
        });
        let account = descriptor.account.as_ref().map(|account| &account.url);
        let discovery = descriptor.discovery.as_ref().map(|discovery| &discovery.url);
        let token_header = HeaderName::from_bytes(descriptor.token_header.name.as_bytes())
            .map_err(|_| InvalidDescriptor::new(id, "token_header", DescriptorProblem::Header))?;
        Ok(Self {
            api_base: (descriptor.api_base.as_ref())
                .map(|base| read("api_base", base))
                .transpose()?,
            api_hosts: hosts.collect::<Result<_, InvalidDescriptor>>()?,
            account: account.map(|url| read("account", url)).transpose()?,
            discovery: discovery.map(|url| read("discovery", url)).transpose()?,
            token_header,
            api_headers: headers(id, "api_headers", &descriptor.api_headers)?,
            api_query: added(&descriptor.api_query),
            authorization_parameters: added(&descriptor.authorization_parameters),
            is_public: false,
            provider,
        })
    }

    /// Returns the same provider, whose requests go to public addresses only: it was described by a
    /// server and not by the host.
    pub(crate) const fn at_public_addresses(mut self) -> Self {
        self.is_public = true;
        self
    }

    /// Returns whether it was discovered by the URL of an MCP server.
    pub(crate) const fn is_discovered(&self) -> bool {
        self.is_public
    }

    /// Returns a request to it, restricted to public addresses if necessary.
    pub(crate) fn bounded(&self, request: HttpRequest) -> HttpRequest {
        if self.is_public {
            request.to_public_addresses_only()
        } else {
            request
        }
    }

    /// Returns the descriptor that hosts see.
    pub(crate) const fn as_provider(&self) -> &Provider {
        &self.provider
    }

    /// Returns whether the access token of a connection with these parameters may be sent to `url`.
    ///
    /// The URL must be https (http only if the descriptor itself names a loopback origin), have the
    /// same scheme, host and port as an [`ApiHost`](crate::provider::data::ApiHost) (or as the API
    /// base, if none is listed), no user, and a path under its prefix, compared by whole segments.
    /// A path that some servers may interpret differently is refused: one with an encoded dot
    /// segment (`..%2f`, `%252e%252e`, `..;`, `..%20`), a control character (`%00`), ill-formed
    /// UTF-8 (`%c0%ae`), an escape such as `%u002e`, or more than eight layers of percent-encoding.
    #[must_use]
    pub fn allows(&self, url: &Url, parameters: &Parameters) -> bool {
        let below = |base: &Url, prefix: &str| {
            base.origin() == url.origin()
                && strip_segments(url.path(), base.path())
                    .is_some_and(|rest| strip_segments(rest, prefix).is_some())
        };
        if !is_clean(url) || !stays_below(url) {
            return false;
        }
        if self.api_hosts.is_empty() {
            return self.api_base(parameters).is_some_and(|base| below(&base, "/"));
        }
        self.api_hosts.iter().any(|host| {
            let origin = host.origin.expand(parameters).ok();
            origin
                .zip(host.prefix(parameters))
                .is_some_and(|(origin, prefix)| below(&origin, &prefix))
        })
    }

    /// Returns the base URL of the API for a connection with these parameters, if the descriptor
    /// has one and the values are known.
    #[must_use]
    pub fn api_base(&self, parameters: &Parameters) -> Option<Url> {
        self.api_base.as_ref()?.expand(parameters).ok()
    }

    /// Returns the URL of the account request, if the descriptor has one and the values are known.
    #[must_use]
    pub fn account_url(&self, parameters: &Parameters) -> Option<Url> {
        self.account.as_ref()?.expand(parameters).ok()
    }

    /// Returns the URL of the discovery, if the descriptor has one.
    pub(crate) const fn discovery_template(&self) -> Option<&Template> {
        self.discovery.as_ref()
    }

    /// Returns the templates of all URLs that receive the access token.
    pub(super) fn api_templates(&self) -> impl Iterator<Item = &Template> {
        let hosts = self.api_hosts.iter().map(|host| &host.origin);
        hosts
            .chain(&self.api_base)
            .chain(&self.account)
            .chain(&self.discovery)
    }

    /// Returns the name of the header that carries the access token.
    pub(crate) const fn token_header_name(&self) -> &HeaderName {
        &self.token_header
    }

    /// Returns the parameters that the provider adds to the authorization request.
    #[must_use]
    pub const fn added_to_authorization(&self) -> &AddedParameters {
        &self.authorization_parameters
    }

    /// Adds [`api_headers`](ProviderDescriptor::api_headers) and
    /// [`api_query`](ProviderDescriptor::api_query) to an API request for a connection with these
    /// parameters. Existing headers and parameters of the request take precedence; those without a
    /// value are omitted.
    pub(crate) fn add_to_request(
        &self,
        parameters: &Parameters,
        client_id: &str,
        url: &mut Url,
        headers: &mut HeaderMap,
    ) {
        let built_in = |name: &str| match name {
            "client_id" => Some(client_id.to_owned()),
            "random" => random::token_256().ok().map(|random| random.as_str().to_owned()),
            _ => None,
        };
        let value = |value: &AddedValue| -> Option<Zeroizing<String>> {
            value.fill(parameters, built_in).filter(|text| !text.is_empty())
        };
        for (name, added) in &self.api_headers {
            let text = value(added).map(|text| HeaderValue::from_bytes(text.as_bytes()));
            if let Some(Ok(text)) = text
                && !headers.contains_key(name)
            {
                headers.insert(name.clone(), text);
            }
        }
        for (name, added) in &self.api_query {
            let there = url.query_pairs().any(|(other, _)| other == name.as_str());
            if let Some(text) = value(added).filter(|_| !there) {
                url.query_pairs_mut().append_pair(name, &text);
            }
        }
    }
}

impl Host {
    /// Returns the prefix with the connection's values, if all are known.
    fn prefix(&self, parameters: &Parameters) -> Option<Zeroizing<String>> {
        let is_known = |name: &str| parameters.get(name).is_some_and(|value| is_segment(value));
        let all_known = self.path_prefix.names().all(is_known);
        all_known.then(|| self.path_prefix.fill(parameters, |_| None))?
    }
}

impl Deref for CompiledProvider {
    type Target = ProviderDescriptor;

    fn deref(&self) -> &ProviderDescriptor {
        &self.provider.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ProviderId, ServerId};
    use crate::provider::{AccountEndpoint, catalog};
    use http::header::HeaderValue;

    fn compiled(provider: Provider) -> CompiledProvider {
        CompiledProvider::compile(provider).unwrap()
    }

    fn provider(hosts: &[&str]) -> Provider {
        Provider::new(
            ProviderId::new("p").unwrap(),
            ServerId::new("as").unwrap(),
            "P",
            hosts.iter().copied(),
        )
    }

    #[test]
    fn the_token_goes_to_its_origin_and_path_alone() {
        let provider = compiled(provider(&[
            "https://gmail.googleapis.com",
            "https://www.googleapis.com/calendar/v3",
            "http://127.0.0.1:8080",
        ]));
        for (url, allowed) in [
            ("https://gmail.googleapis.com/gmail/v1/users/me", true),
            ("https://gmail.googleapis.com", true),
            (
                "https://gmail.googleapis.com/projects/group%2Fproject/a..b/...",
                true,
            ),
            ("https://GMAIL.googleapis.com:443/x?y=z", true),
            ("https://www.googleapis.com/calendar/v3", true),
            ("https://www.googleapis.com/calendar/v3/events?q=a%2Fb", true),
            ("http://127.0.0.1:8080/x", true),
            ("http://gmail.googleapis.com/", false),
            ("https://gmail.googleapis.com:8443/", false),
            ("https://gmail.googleapis.com.evil.tld/", false),
            ("https://gmail.googleapis.com./", false),
            ("https://evil.tld/gmail.googleapis.com", false),
            ("https://gmail.googleapis.com@evil.tld/", false),
            ("https://u@gmail.googleapis.com/", false),
            ("https://www.googleapis.com/", false),
            ("https://www.googleapis.com/calendar/v30", false),
            ("https://www.googleapis.com/drive/v3", false),
            ("https://www.googleapis.com/calendar/v3/../../drive/v3", false),
            (
                "https://www.googleapis.com/calendar/v3/%2e%2e/%2e%2e/drive",
                false,
            ),
            ("https://www.googleapis.com/calendar/v3/..%2f..%2fdrive", false),
            ("https://www.googleapis.com/calendar/v3/..%5cdrive", false),
            ("https://www.googleapis.com/calendar/v3/%252e%252e/drive", false),
            ("https://www.googleapis.com/calendar/v3/..;/drive", false),
            ("https://www.googleapis.com//calendar/v3", false),
            ("https://www.googleapis.com/calendar/v3/..%00/drive", false),
            ("https://www.googleapis.com/calendar/v3/a%00", false),
            ("https://www.googleapis.com/calendar/v3/a%0d%0ab", false),
            ("https://www.googleapis.com/calendar/v3/a%7f", false),
            ("https://www.googleapis.com/calendar/v3/a%2500", false),
            ("https://www.googleapis.com/calendar/v3/..%20/drive", false),
            ("https://www.googleapis.com/calendar/v3/%20../drive", false),
            ("https://www.googleapis.com/calendar/v3/..%09/drive", false),
            ("https://www.googleapis.com/calendar/v3/..%c2%a0/drive", false),
            ("https://www.googleapis.com/calendar/v3/..%c2%85/drive", false),
            ("https://www.googleapis.com/calendar/v3/%c0%ae%c0%ae/drive", false),
            ("https://www.googleapis.com/calendar/v3/%e0%80%ae/x", false),
            ("https://www.googleapis.com/calendar/v3/%ff", false),
            ("https://www.googleapis.com/calendar/v3/%ed%a0%80", false),
            ("https://www.googleapis.com/calendar/v3/%uff0e%uff0e/drive", false),
            ("https://www.googleapis.com/calendar/v3/%u002e%u002e/drive", false),
            (
                "https://www.googleapis.com/calendar/v3/%ef%bc%8e%ef%bc%8e/drive",
                false,
            ),
            (
                "https://www.googleapis.com/calendar/v3/%25252525252e%25252525252e/drive",
                false,
            ),
            (
                "https://www.googleapis.com/calendar/v3/%252525252525252525252525252e",
                false,
            ),
            (
                "https://www.googleapis.com/calendar/v3/na%C3%AFve/%E2%82%AC",
                true,
            ),
            ("https://www.googleapis.com/calendar/v3/100%25/50%", true),
            ("https://www.googleapis.com/calendar/v3/a%20b/.../..c", true),
            ("https://www.googleapis.com/calendar/v3/%user%/x%25y", true),
            ("https://www.googleapis.com/calendar/v3/%2541", true),
            ("http://127.0.0.1:8081/x", false),
            ("http://localhost:8080/x", false),
            ("https://127.0.0.1:8080/x", false),
            ("ftp://gmail.googleapis.com/", false),
            ("data:text/plain,x", false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(provider.allows(&url, &Parameters::new()), allowed, "{url}");
        }
    }

    #[test]
    fn a_connections_base_url_decides_host_and_path() {
        let mut provider = provider(&["{base_url}"]);
        provider.api_base = Some("{base_url}/api/v4".into());
        provider.account = Some(AccountEndpoint {
            url: "{base_url}/api/v4/user".into(),
            id: vec!["/id".into()],
            email: vec![],
            label: vec![],
        });
        let provider = compiled(provider);
        let parameters = Parameters::from([("base_url".into(), "https://host.example/lab".into())]);
        let allows = |url: &str| provider.allows(&Url::parse(url).unwrap(), &parameters);
        assert!(allows("https://host.example/lab/api/v4/projects"));
        assert!(!allows("https://host.example/other"));
        assert!(!allows("https://host.example/lab2"));
        assert!(!allows("https://gitlab.com/api/v4/projects"));
        assert_eq!(
            provider.api_base(&parameters).unwrap().as_str(),
            "https://host.example/lab/api/v4"
        );
        assert_eq!(
            provider.account_url(&parameters).unwrap().path(),
            "/lab/api/v4/user"
        );
        assert_eq!(provider.api_base(&Parameters::new()), None);
    }

    #[test]
    fn what_the_request_has_stays_and_what_has_no_value_is_left_out() {
        let mut provider = catalog::gmail();
        for (name, value) in [
            ("x-version", "{version} || 2026-01-01"),
            ("x-client", "{client_id}"),
            ("x-site", "{site}"),
            ("x-nonce", "{random}"),
            ("accept", "application/json"),
        ] {
            provider.api_headers.insert(name.into(), value.into());
        }
        provider.api_query.insert("shop".into(), "{shop}".into());
        provider.api_query.insert("v".into(), "2".into());
        let provider = compiled(provider);
        let parameters = Parameters::from([("shop".into(), "a b".into())]);
        let mut url = Url::parse("https://api.test/x?v=1").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("text/csv"));
        provider.add_to_request(&parameters, "the-client", &mut url, &mut headers);
        assert_eq!(url.as_str(), "https://api.test/x?v=1&shop=a+b");
        assert_eq!(headers["accept"], "text/csv");
        assert_eq!(headers["x-version"], "2026-01-01");
        assert_eq!(headers["x-client"], "the-client");
        assert_eq!(headers["x-nonce"].len(), 43);
        assert!(!headers.contains_key("x-site"));
    }
}
