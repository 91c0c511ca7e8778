//! A scripted browser: it keeps cookies, follows redirects, reads a form and submits it.

use std::collections::BTreeMap;
use std::error::Error;

use http::{HeaderValue, Method, StatusCode, header};
use url::{Url, form_urlencoded};
use valetkey::http::{HttpClient, HttpRequest, HttpResponse, UreqClient};

/// One user's browser: cookies by origin, and the current address.
pub struct Browser {
    client: UreqClient,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// A page that a browser shows.
pub struct Page {
    pub url: Url,
    pub status: StatusCode,
    pub html: String,
}

impl Browser {
    pub fn new() -> Self {
        Self {
            client: UreqClient::new().dangerous_loopback_http(),
            cookies: BTreeMap::new(),
        }
    }

    /// Opens an address and follows redirects to a page.
    pub fn open(&mut self, url: &str) -> Result<Page, Box<dyn Error>> {
        self.follow(HttpRequest::new(Method::GET, Url::parse(url)?))
    }

    /// Submits the form of a page, with these values in addition to its hidden ones.
    pub fn submit(&mut self, page: &Page, values: &[(&str, &str)]) -> Result<Page, Box<dyn Error>> {
        let action = attribute(&page.html, "action").ok_or("the page has no form")?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        for tag in tags(&page.html, "input").filter(|tag| attribute(tag, "type").as_deref() == Some("hidden"))
        {
            let name = attribute(tag, "name").ok_or("an input without a name")?;
            form.append_pair(&name, &attribute(tag, "value").unwrap_or_default());
        }
        for (name, value) in values {
            form.append_pair(name, value);
        }
        let request = HttpRequest::new(Method::POST, page.url.join(&action)?)
            .with_header(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .with_body(form.finish());
        self.follow(request)
    }

    fn follow(&mut self, mut request: HttpRequest) -> Result<Page, Box<dyn Error>> {
        for _ in 0..10 {
            let url = request.url.clone();
            let response = self.send(request)?;
            let Some(location) = response.headers.get(header::LOCATION) else {
                let html = String::from_utf8_lossy(response.body.as_bytes()).into_owned();
                return Ok(Page {
                    url,
                    status: response.status,
                    html,
                });
            };
            request = HttpRequest::new(Method::GET, url.join(location.to_str()?)?);
        }
        Err("too many redirects".into())
    }

    fn send(&mut self, mut request: HttpRequest) -> Result<HttpResponse, Box<dyn Error>> {
        let origin = request.url.origin().ascii_serialization();
        let jar = self.cookies.entry(origin).or_default();
        if !jar.is_empty() {
            let cookies: Vec<_> = jar
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request
                .headers
                .insert(header::COOKIE, HeaderValue::from_str(&cookies.join("; "))?);
        }
        let response = self.client.send(request)?;
        for cookie in response.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(response)
    }
}

impl Page {
    /// Returns the values of the page's inputs of this name.
    pub fn values(&self, name: &str) -> Vec<String> {
        tags(&self.html, "input")
            .filter(|tag| attribute(tag, "name").as_deref() == Some(name))
            .filter_map(|tag| attribute(tag, "value"))
            .collect()
    }
}

fn tags<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let opening = format!("<{name} ");
    html.match_indices(&opening)
        .filter_map(|(start, _)| html[start..].split('>').next())
        .collect::<Vec<_>>()
        .into_iter()
}

/// Returns the value of an attribute. Sufficient for pages that escape `"` and `&`.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}
