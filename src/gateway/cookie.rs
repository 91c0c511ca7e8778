//! The two cookies of the gateway: one binds a consent to its browser, the other holds the secret
//! of CSRF tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use ring::digest::{SHA256, digest};
use std::time::Duration;

use crate::secret::{Binding, State};

/// The maximum number of consent cookies in a browser. Servers refuse requests whose cookies exceed
/// a few kilobytes; one of these takes about a hundred bytes.
const MOST_FLOWS: usize = 16;

/// The beginning of the name of a consent cookie, after the prefix.
const CONSENT: &str = "valetkey-consent-";

/// The names and attributes of cookies: with `__Host-` and `Secure`, or without both on plain http.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookies {
    pub(super) secure: bool,
}

impl Cookies {
    /// Returns the name of the cookie of one consent. Each consent has its own cookie, so that a
    /// user can have several under way in one browser.
    fn consent(self, state: &State) -> String {
        let hash = digest(&SHA256, state.expose_secret().as_bytes());
        // Twelve bytes suffice to distinguish the few consents of one browser. The hash keeps
        // `state` itself out of the name.
        let short = URL_SAFE_NO_PAD.encode(&hash.as_ref()[..12]);
        format!("{}{CONSENT}{short}", self.prefix())
    }

    /// Returns the name of the cookie from which CSRF tokens are derived.
    pub(super) fn csrf(self) -> String {
        format!("{}valetkey-csrf", self.prefix())
    }

    /// Returns the cookie that the browser keeps for the lifetime of a consent, so that a repeated
    /// callback is recognized, and the cookies that it drops for it: a browser keeps at most
    /// [`MOST_FLOWS`], the latest.
    pub(super) fn keep_binding(
        self,
        headers: &HeaderMap,
        state: &State,
        binding: &Binding,
        lifetime: Duration,
    ) -> Vec<HeaderValue> {
        let own = self.consent(state);
        let begins = format!("{}{CONSENT}", self.prefix());
        // Browsers send the oldest first.
        let known: Vec<&str> = pairs(headers)
            .map(|(name, _)| name)
            .filter(|name| name.starts_with(&begins) && *name != own)
            .collect();
        let surplus = (known.len() + 1).saturating_sub(MOST_FLOWS);
        known[..surplus]
            .iter()
            .filter_map(|name| self.set(name, "", Some(Duration::ZERO)))
            .chain(self.set(&own, binding.expose_secret(), Some(lifetime)))
            .collect()
    }

    pub(super) fn binding(self, headers: &HeaderMap, state: &State) -> Option<Binding> {
        find(headers, &self.consent(state)).map(Binding::new)
    }

    pub(super) fn keep_csrf(self, secret: &str) -> Option<HeaderValue> {
        self.set(&self.csrf(), secret, None)
    }

    fn set(self, name: &str, value: &str, lifetime: Option<Duration>) -> Option<HeaderValue> {
        let age = lifetime.map_or_else(String::new, |lifetime| {
            format!("; Max-Age={}", lifetime.as_secs())
        });
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Path=/{age}; HttpOnly; SameSite=Lax{secure}");
        let mut value = HeaderValue::from_str(&cookie).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    const fn prefix(self) -> &'static str {
        if self.secure { "__Host-" } else { "" }
    }
}

/// Returns the value of a cookie. A cookie that occurs twice is ignored, because the gateway set
/// only one of them.
pub(super) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = pairs(headers)
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value);
    let value = found.next().filter(|value| !value.is_empty())?;
    found.next().is_none().then_some(value)
}

/// Returns the cookies of a request, in their order.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_comes_twice_is_none() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; b=2; c="));
        assert_eq!(find(&headers, "b"), Some("2"));
        assert_eq!(find(&headers, "c"), None);
        headers.append(header::COOKIE, HeaderValue::from_static("b=3"));
        assert_eq!(find(&headers, "b"), None);
    }

    #[test]
    fn names_and_attributes_follow_the_transport() {
        let state = State::new("s");
        let kept = |secure| {
            let cookies = Cookies { secure };
            let lifetime = Duration::from_secs(600);
            let kept = cookies.keep_binding(&HeaderMap::new(), &state, &Binding::new("b"), lifetime);
            assert_eq!(kept.len(), 1);
            kept[0].to_str().unwrap().to_owned()
        };
        assert!(kept(true).starts_with("__Host-valetkey-consent-"));
        assert!(kept(true).ends_with("=b; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"));
        assert!(kept(false).starts_with("valetkey-consent-"));
        assert!(!kept(false).contains("Secure"));
    }

    #[test]
    fn a_browser_keeps_the_latest_flows_alone() {
        let cookies = Cookies { secure: true };
        let mut jar: Vec<String> = vec!["session=x".into()];
        for number in 0..120 {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_str(&jar.join("; ")).unwrap());
            let state = State::new(format!("state-{number}"));
            let binding = Binding::new("b".repeat(43));
            for set in cookies.keep_binding(&headers, &state, &binding, Duration::from_secs(600)) {
                let set = set.to_str().unwrap();
                let pair = set.split(';').next().unwrap();
                let name = pair.split('=').next().unwrap();
                jar.retain(|kept| kept.split('=').next() != Some(name));
                if !set.contains("Max-Age=0") {
                    jar.push(pair.to_owned());
                }
            }
            assert_eq!(jar[0], "session=x", "the cookies of others stay");
            assert!(jar.len() <= 1 + MOST_FLOWS && jar.join("; ").len() < 2_048);
            assert!(
                jar.last().unwrap().starts_with(&cookies.consent(&state)),
                "the newest stays"
            );
        }
        assert_eq!(jar.len(), 1 + MOST_FLOWS);
        // Repeating a flow does not displace another.
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(&jar.join("; ")).unwrap());
        let state = State::new("state-119");
        let kept = cookies.keep_binding(&headers, &state, &Binding::new("b"), Duration::from_secs(600));
        assert_eq!(kept.len(), 1);
    }
}
