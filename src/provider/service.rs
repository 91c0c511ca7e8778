//! A provider: one service at an authorization server.

use std::borrow::Cow;
use std::collections::BTreeMap;

use url::Url;

use crate::http::is_clean;
use crate::model::{Parameters, ProviderId, Scopes, ServerId};
use crate::provider::template::is_segment;
use crate::provider::value::{chosen, filled, is_template, names_in};
use crate::provider::{Discovery, Pointer, ScopeModes, ScopeTiers, Template, TokenHeader};

/// A service that can be connected, as data.
///
/// Make one with [`Provider::new`], then set what else is known. URLs and hosts are templates, filled from
/// the connection's parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(deny_unknown_fields, expecting = "a provider, written as an object")
)]
#[non_exhaustive]
pub struct Provider {
    /// Names the service.
    pub id: ProviderId,
    /// The authorization server that grants access to it.
    pub server: ServerId,
    /// The name for people.
    pub name: String,
    /// The group it is shown under.
    #[cfg_attr(feature = "serde", serde(default))]
    pub group: String,
    /// What is asked for when the host names no scopes: the least that makes the service useful.
    #[cfg_attr(feature = "serde", serde(default))]
    pub default_scopes: Scopes,
    /// What is always asked for besides: to learn whose account it is, to get a refresh token.
    #[cfg_attr(feature = "serde", serde(default))]
    pub required_scopes: Scopes,
    /// Where the service's API begins; a request to `send` with a path alone is resolved against it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub api_base: Option<String>,
    /// The only places that requests of the host may be sent to with the access token. Empty: below `api_base`. The
    /// library itself also asks `account` and `discovery` with it, wherever these are.
    #[cfg_attr(feature = "serde", serde(default))]
    pub api_hosts: Vec<ApiHost>,
    /// How to learn whose account was connected.
    #[cfg_attr(feature = "serde", serde(default))]
    pub account: Option<AccountEndpoint>,
    /// More headers for API requests, the account request and the discovery included. One that a request brings itself
    /// stays as it is; one without its value is left out.
    #[cfg_attr(
        feature = "serde",
        serde(default, deserialize_with = "crate::provider::scalar::map")
    )]
    pub api_headers: BTreeMap<String, String>,
    /// More parameters for the query of API requests, in the same way. Never a credential: queries end up in logs.
    #[cfg_attr(
        feature = "serde",
        serde(default, deserialize_with = "crate::provider::scalar::map")
    )]
    pub api_query: BTreeMap<String, String>,
    /// How the access token is put into a request.
    #[cfg_attr(feature = "serde", serde(default))]
    pub token_header: TokenHeader,
    /// The statuses by which the API says that it does not accept the access token: 400 to 499, 401 unless set. Some APIs
    /// answer an expired token with 403. `send` then refreshes the token once and repeats the request.
    #[cfg_attr(
        feature = "serde",
        serde(
            default = "default_token_refused",
            deserialize_with = "crate::provider::status::list"
        )
    )]
    pub token_refused: Vec<u16>,
    /// More parameters for the authorization request, beside the server's. None may bear a name that the protocol uses.
    #[cfg_attr(
        feature = "serde",
        serde(default, deserialize_with = "crate::provider::scalar::map")
    )]
    pub authorization_parameters: BTreeMap<String, String>,
    /// Other choices of scopes than the default one.
    #[cfg_attr(feature = "serde", serde(default))]
    pub tiers: ScopeTiers,
    /// Scopes that a parameter of the connection decides, whatever else is asked for.
    #[cfg_attr(feature = "serde", serde(default))]
    pub scope_modes: Option<ScopeModes>,
    /// How to find, after the consent, which of the person's sites the connection is for.
    #[cfg_attr(feature = "serde", serde(default))]
    pub discovery: Option<Discovery>,
    /// Where the token answer itself says whose account it is. Asked before [`account`](Self::account).
    #[cfg_attr(feature = "serde", serde(default))]
    pub account_in_answer: Option<AccountPointers>,
    /// What whoever uses the service should know, in sentences.
    #[cfg_attr(feature = "serde", serde(default))]
    pub notes: Vec<String>,
    /// Whether this descriptor takes the place of the built-in one with its id. Without it, such an id is a mistake.
    #[cfg_attr(feature = "serde", serde(default))]
    pub replaces_builtin: bool,
}

impl Provider {
    /// A service at this server, reachable at these hosts, with nothing else known.
    #[must_use]
    pub fn new(id: ProviderId, server: ServerId, name: impl Into<String>, api_hosts: Vec<ApiHost>) -> Self {
        Self {
            id,
            server,
            name: name.into(),
            group: String::new(),
            default_scopes: Scopes::default(),
            required_scopes: Scopes::default(),
            api_base: None,
            api_hosts,
            account: None,
            api_headers: BTreeMap::new(),
            api_query: BTreeMap::new(),
            token_header: TokenHeader::default(),
            token_refused: default_token_refused(),
            authorization_parameters: BTreeMap::new(),
            tiers: ScopeTiers::default(),
            scope_modes: None,
            discovery: None,
            account_in_answer: None,
            notes: Vec::new(),
            replaces_builtin: false,
        }
    }
}

/// RFC 6750 §3.1: an access token that is expired, revoked or malformed is answered with 401.
fn default_token_refused() -> Vec<u16> {
    vec![401]
}

impl Provider {
    /// Whether an API response with this status means that the access token was refused.
    #[must_use]
    pub fn refuses_token(&self, status: u16) -> bool {
        self.token_refused.contains(&status)
    }

    /// Whether the access token of a connection with these parameters may be sent to `url`.
    ///
    /// The URL must be https (http only where the descriptor itself names a loopback origin), have the very
    /// scheme, host and port of an [`ApiHost`] (or of the API base, where none is listed), no user, and a path under its
    /// prefix, whole segments compared.
    /// A path that some server may read otherwise is refused: one with a dot segment behind an encoding (`..%2f`,
    /// `%252e%252e`, `..;`, `..%20`), a control character (`%00`), ill-formed UTF-8 (`%c0%ae`), an escape such as `%u002e`,
    /// or more than eight layers of percent-encoding.
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
            expand(&host.origin, parameters)
                .zip(host.prefix(parameters))
                .is_some_and(|(origin, prefix)| below(&origin, &prefix))
        })
    }

    /// The same provider with the connection's values in the parameters that it adds to the authorization request.
    #[must_use]
    pub fn for_connection(&self, parameters: &Parameters) -> Cow<'_, Self> {
        let added = self.authorization_parameters.values();
        if !added.into_iter().any(|value| is_template(value)) {
            return Cow::Borrowed(self);
        }
        let mut provider = self.clone();
        for value in provider.authorization_parameters.values_mut() {
            *value = chosen(value, |name| parameters.get(name).cloned());
        }
        Cow::Owned(provider)
    }

    /// Where the API begins for a connection with these parameters, if the descriptor says.
    #[must_use]
    pub fn api_base(&self, parameters: &Parameters) -> Option<Url> {
        self.api_base.as_deref().and_then(|base| expand(base, parameters))
    }

    /// Where to ask whose account it is, if the descriptor says.
    #[must_use]
    pub fn account_url(&self, parameters: &Parameters) -> Option<Url> {
        self.account
            .as_ref()
            .and_then(|account| expand(&account.url, parameters))
    }
}

fn expand(template: &str, parameters: &Parameters) -> Option<Url> {
    Template::parse(template).ok()?.expand(parameters).ok()
}

/// What is left of `path` below `prefix`, if `prefix` ends at a segment's end.
pub(super) fn strip_segments<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// How many times a path may be percent-encoded. Ordinary paths are encoded once, names of files that hold a `%` twice.
const MOST_LAYERS: usize = 8;

/// Returns whether every server reads the path the same way. `Url` has resolved the dot segments, plain and encoded. A
/// server may also decode `%2f` and `%5c`, decode repeatedly, end the path at a NUL, drop blanks at the end of a segment,
/// cut `;…` off before it resolves `..`, or read an ill-formed sequence as a dot.
fn stays_below(url: &Url) -> bool {
    let mut path = url.path().as_bytes().to_vec();
    for _ in 0..=MOST_LAYERS {
        let Ok(text) = std::str::from_utf8(&path) else {
            return false;
        };
        if text.chars().any(char::is_control) || has_unicode_escape(&path) || has_dot_segment(text) {
            return false;
        }
        let decoded = percent_decoded(&path);
        if decoded == path {
            return true;
        }
        path = decoded;
    }
    false
}

/// Returns whether a segment is `.` or `..` to some server.
fn has_dot_segment(path: &str) -> bool {
    path.split(['/', '\\', '\u{2044}', '\u{2215}', '\u{ff0f}', '\u{ff3c}'])
        .map(|segment| segment.split(';').next().unwrap_or(segment))
        .map(|segment| segment.trim_matches(char::is_whitespace))
        .any(|segment| {
            let dots = segment.trim_start_matches(['.', '\u{2024}', '\u{fe52}', '\u{ff0e}']);
            dots.is_empty() && matches!(segment.chars().count(), 1 | 2)
        })
}

/// Returns whether the path has an escape of the form `%u0041`, which some servers read.
fn has_unicode_escape(path: &[u8]) -> bool {
    path.windows(6).any(|window| {
        matches!(window[..2], [b'%', b'u' | b'U']) && window[2..].iter().all(u8::is_ascii_hexdigit)
    })
}

/// The path with every `%` sequence decoded once.
fn percent_decoded(path: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| {
        char::from(*byte?)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte == b'%'
            && let (Some(high), Some(low)) = (digit(after.first()), digit(after.get(1)))
        {
            decoded.push(high << 4 | low);
            rest = &after[2..];
        } else {
            decoded.push(*byte);
        }
    }
    decoded
}

/// A host that may receive the access token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(deny_unknown_fields, expecting = "an API host, written as an object")
)]
pub struct ApiHost {
    /// The origin, such as `https://www.googleapis.com`; a template. Where a base URL brings a path,
    /// that path is part of the prefix: a GitLab below `https://host/lab` gets no token of `https://host/other`.
    pub origin: String,
    /// The path must lie under this prefix, where one host serves several services. `/` allows all.
    /// `/calendar/v3` allows `/calendar/v3` and `/calendar/v3/events`, not `/calendar/v30`. `{name}` stands for a value of the
    /// connection; while it is not known, nothing is allowed.
    #[cfg_attr(feature = "serde", serde(default = "root"))]
    pub path_prefix: String,
}

#[cfg(feature = "serde")]
fn root() -> String {
    "/".into()
}

impl ApiHost {
    /// All of an origin.
    #[must_use]
    pub fn origin(origin: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            path_prefix: "/".into(),
        }
    }

    /// The prefix with the connection's values, if they are all known.
    fn prefix(&self, parameters: &Parameters) -> Option<String> {
        let known = |name: &str| parameters.get(name).filter(|value| is_segment(value)).cloned();
        let all_known = names_in(&self.path_prefix).all(|name| known(name).is_some());
        all_known.then(|| filled(&self.path_prefix, known))
    }

    /// What lies under a path of an origin.
    #[must_use]
    pub fn under(origin: impl Into<String>, path_prefix: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            path_prefix: path_prefix.into(),
        }
    }
}

/// How to learn whose account was connected: a GET with the access token, and where the answer says it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(deny_unknown_fields, expecting = "an account, written as an object")
)]
pub struct AccountEndpoint {
    /// The URL, a template.
    pub url: String,
    /// The stable id; the first pointer that finds a string or a number.
    pub id: Vec<Pointer>,
    /// The e-mail address; the first pointer that finds a string.
    #[cfg_attr(feature = "serde", serde(default))]
    pub email: Vec<Pointer>,
    /// The name for people; the first pointer that finds a string.
    #[cfg_attr(feature = "serde", serde(default))]
    pub label: Vec<Pointer>,
}

/// Where an answer says whose account it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(
        deny_unknown_fields,
        expecting = "an account in an answer, written as an object"
    )
)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct AccountPointers {
    /// The stable id; the first pointer that finds a string or a number.
    pub id: Vec<Pointer>,
    /// The e-mail address; the first pointer that finds a string.
    #[cfg_attr(feature = "serde", serde(default))]
    pub email: Vec<Pointer>,
    /// The name for people; the first pointer that finds a string.
    #[cfg_attr(feature = "serde", serde(default))]
    pub label: Vec<Pointer>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(hosts: Vec<ApiHost>) -> Provider {
        Provider::new(
            ProviderId::new("p").unwrap(),
            ServerId::new("as").unwrap(),
            "P",
            hosts,
        )
    }

    #[test]
    fn the_token_goes_to_its_origin_and_path_alone() {
        let provider = provider(vec![
            ApiHost::origin("https://gmail.googleapis.com"),
            ApiHost::under("https://www.googleapis.com", "/calendar/v3"),
            ApiHost::origin("http://127.0.0.1:8080"),
        ]);
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
        let mut provider = provider(vec![ApiHost::origin("{base_url}")]);
        provider.api_base = Some("{base_url}/api/v4".into());
        provider.account = Some(AccountEndpoint {
            url: "{base_url}/api/v4/user".into(),
            id: vec!["/id".into()],
            email: vec![],
            label: vec![],
        });
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
}
