//! A user with a browser, for tests: opens the link, reads the page, submits its form, and stops at
//! the redirect.

use http::{HeaderValue, Method, StatusCode, header};
use url::{Url, form_urlencoded};

use super::log::Pairs;
use super::{Sandbox, pages};
use crate::http::{HttpRequest, HttpResponse};

/// An opened authorization link. The browser shows the consent page or an error page, or has
/// already been redirected.
#[derive(Debug)]
pub struct Walk {
    sandbox: Sandbox,
    status: StatusCode,
    page: String,
    location: Option<String>,
}

impl Walk {
    pub(super) fn open(sandbox: &Sandbox, authorization_url: &str) -> Self {
        let url = Url::parse(authorization_url).expect("the authorization URL is a URL");
        Self::arrived(sandbox, &sandbox.handle(HttpRequest::new(Method::GET, url)))
    }

    fn arrived(sandbox: &Sandbox, answer: &HttpResponse) -> Self {
        let location = answer.headers.get(header::LOCATION);
        Self {
            sandbox: sandbox.clone(),
            status: answer.status,
            page: String::from_utf8_lossy(answer.body.as_bytes()).into_owned(),
            location: location.and_then(|value| value.to_str().ok()).map(str::to_owned),
        }
    }

    /// The status of the page.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The page, as HTML.
    #[must_use]
    pub fn page(&self) -> &str {
        &self.page
    }

    /// Returns the address to which the browser was redirected without a consent page, if it was.
    #[must_use]
    pub fn redirected_to(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Returns the scopes that the page requests.
    #[must_use]
    pub fn scopes(&self) -> Vec<String> {
        values(&self.inputs(), "scope")
    }

    /// Returns the accounts that the page offers.
    #[must_use]
    pub fn accounts(&self) -> Vec<String> {
        values(&self.inputs(), "account")
    }

    /// Allows all requested scopes and returns the callback URL.
    ///
    /// # Panics
    ///
    /// If the page does not ask for consent or does not offer this account.
    #[must_use]
    pub fn allow(self, account: &str) -> String {
        let scopes = self.scopes();
        self.decide("allow", Some(account), &scopes)
    }

    /// Allows only these scopes and returns the callback URL.
    ///
    /// # Panics
    ///
    /// If the page does not ask for consent, or does not offer this account or one of the scopes.
    #[must_use]
    pub fn allow_some<S: AsRef<str>>(self, account: &str, scopes: &[S]) -> String {
        let offered = self.scopes();
        let ticked: Vec<String> = scopes.iter().map(|scope| scope.as_ref().to_owned()).collect();
        assert!(
            ticked.iter().all(|scope| offered.contains(scope)),
            "the page does not offer each of these scopes"
        );
        self.decide("allow", Some(account), &ticked)
    }

    /// Denies the request and returns the callback URL.
    ///
    /// # Panics
    ///
    /// If the page does not ask for consent.
    #[must_use]
    pub fn deny(self) -> String {
        self.decide("deny", None, &[])
    }

    fn decide(self, decision: &str, account: Option<&str>, scopes: &[String]) -> String {
        assert!(
            self.page.contains("<form"),
            "the sandbox does not ask for consent: it answered {}",
            self.status
        );
        let inputs = self.inputs();
        let mut form = form_urlencoded::Serializer::new(String::new());
        for request in values(&inputs, "request") {
            form.append_pair("request", &request);
        }
        if let Some(account) = account {
            let offered = values(&inputs, "account");
            assert!(
                offered.iter().any(|id| id == account),
                "the page offers no such account"
            );
            form.append_pair("account", account);
        }
        for scope in scopes {
            form.append_pair("scope", scope);
        }
        form.append_pair("decision", decision);
        let action = attribute(&self.page, "action").expect("the form says where it goes");
        let url = self.sandbox.base_url().join(&action);
        let request = HttpRequest::new(Method::POST, url.expect("the form goes to a URL"))
            .with_header(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .with_body(form.finish());
        let after = Self::arrived(&self.sandbox, &self.sandbox.handle(request));
        after.location.expect("the form leads back to the host")
    }

    /// Returns the names and values of the page's inputs.
    fn inputs(&self) -> Pairs {
        self.page
            .split("<input ")
            .skip(1)
            .filter_map(|rest| {
                let tag = rest.split_once('>')?.0;
                Some((attribute(tag, "name")?, attribute(tag, "value")?))
            })
            .collect()
    }
}

fn values(inputs: &Pairs, name: &str) -> Vec<String> {
    let named = inputs.iter().filter(|(key, _)| key == name);
    named.map(|(_, value)| value.clone()).collect()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(pages::unescaped(value))
}

/// The user's part of the consent.
impl Sandbox {
    /// Opens an authorization link as a browser would.
    ///
    /// # Panics
    ///
    /// If it is not a valid URL.
    #[must_use]
    pub fn consent(&self, authorization_url: impl AsRef<str>) -> Walk {
        Walk::open(self, authorization_url.as_ref())
    }

    /// Opens the link, allows everything with this account, and returns the callback URL.
    ///
    /// # Panics
    ///
    /// If the link does not lead to a consent page, or there is no such account.
    #[must_use]
    pub fn approve(&self, authorization_url: impl AsRef<str>, account: &str) -> String {
        self.consent(authorization_url).allow(account)
    }

    /// Opens the link, allows only these scopes with this account, and returns the callback URL.
    ///
    /// # Panics
    ///
    /// Like [`approve`](Self::approve), and if one of the scopes is not requested.
    #[must_use]
    pub fn approve_some<S: AsRef<str>>(
        &self,
        authorization_url: impl AsRef<str>,
        account: &str,
        scopes: &[S],
    ) -> String {
        self.consent(authorization_url).allow_some(account, scopes)
    }

    /// Opens the link, denies the request, and returns the callback URL.
    ///
    /// # Panics
    ///
    /// If the link does not lead to a consent page.
    #[must_use]
    pub fn deny(&self, authorization_url: impl AsRef<str>) -> String {
        self.consent(authorization_url).deny()
    }
}
