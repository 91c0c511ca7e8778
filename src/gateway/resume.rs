//! The page to which a browser returns when its session ended while a form was open.

use http::Method;
use http::request::Parts;
use url::form_urlencoded;

/// The fields that select what a form is about. Everything else is entered again.
const SELECTORS: [&str; 4] = ["provider", "reconnect", "extends", "user"];

/// Returns the path and query, within the gateway, of the page to open after the sign-in: the
/// requested page itself, or the page of the form that was sent. `None` for other requests.
pub(super) fn page_of(head: &Parts, path: &str, body: &[u8]) -> Option<String> {
    if head.method == Method::GET {
        let query = head.uri.query().map(|query| format!("?{query}"));
        return Some(format!("{path}{}", query.unwrap_or_default()));
    }
    if head.method != Method::POST {
        return None;
    }
    let selected = selected(body);
    let page = match path.strip_suffix(['/']).unwrap_or(path) {
        "/connect" => match selected.iter().find(|(name, _)| name == "extends") {
            Some((_, id)) => format!("/connections/{}", encoded(id)),
            None => with_query("/connect", &selected),
        },
        "/revoke" => with_query("/revoke", &selected),
        path if path.starts_with("/links/") => "/links".into(),
        path => {
            let below = path.strip_prefix("/connections/")?;
            let (id, action) = below.split_once('/')?;
            let page = if action == "revoke" { "/revoke" } else { "" };
            format!("/connections/{id}{page}")
        }
    };
    Some(page)
}

fn selected(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body)
        .filter(|(name, value)| SELECTORS.contains(&name.as_ref()) && !value.is_empty())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

fn with_query(path: &str, fields: &[(String, String)]) -> String {
    if fields.is_empty() {
        return path.to_owned();
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields);
    format!("{path}?{}", query.finish())
}

fn encoded(segment: &str) -> String {
    form_urlencoded::byte_serialize(segment.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn each_form_has_a_page_to_return_to() {
        let page = |method: &str, uri: &str, body: &str| {
            let request = Request::builder().method(method).uri(uri).body(()).unwrap();
            let (head, ()) = request.into_parts();
            page_of(&head, head.uri.path(), body.as_bytes())
        };
        for (method, uri, body, expected) in [
            ("GET", "/?q=a", "", Some("/?q=a")),
            (
                "POST",
                "/connect",
                "provider=mail&user=ada&label=x&csrf_token=t",
                Some("/connect?provider=mail&user=ada"),
            ),
            ("POST", "/connect", "reconnect=1", Some("/connect?reconnect=1")),
            ("POST", "/connect", "extends=1&also=tasks", Some("/connections/1")),
            ("POST", "/connect", "", Some("/connect")),
            ("POST", "/connections/1/refresh", "", Some("/connections/1")),
            ("POST", "/connections/1/revoke", "", Some("/connections/1/revoke")),
            ("POST", "/revoke", "user=ada", Some("/revoke?user=ada")),
            ("POST", "/links/1/withdraw", "user=ada", Some("/links")),
            ("HEAD", "/", "", None),
            ("POST", "/v1/oauth/token", "code=c", None),
        ] {
            assert_eq!(page(method, uri, body).as_deref(), expected, "{method} {uri}");
        }
    }
}
