//! The pages that a user sees at the sandbox. Plain HTML forms that work in any browser, with a
//! screen reader and without scripts.

use std::fmt::Write as _;

use http::{HeaderName, HeaderValue, StatusCode, header};

use super::account::TestAccount;
use crate::http::HttpResponse;
use crate::model::Scopes;

/// `form-action` is omitted on purpose: browsers also apply it to the redirect after the form,
/// which leads back to the host.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}\
fieldset{border:1px solid GrayText;border-radius:.5rem;margin:1.5rem 0;padding:.5rem 1rem 1rem}\
legend{font-weight:600;padding:0 .5rem}\
label{display:block;padding:.4rem 0}\
small{display:block;margin-left:1.7rem}\
button{font:inherit;padding:.6rem 1.4rem;margin-right:.75rem;border-radius:.5rem;border:1px solid GrayText;cursor:pointer}\
button[value=allow]{font-weight:600}";

/// Returns the consent page.
pub(super) fn consent(
    request: &str,
    client_id: &str,
    returns_to: &str,
    scopes: &Scopes,
    (accounts, hint): (&[TestAccount], Option<TestAccount>),
) -> HttpResponse {
    let mut main = String::new();
    let _ = write!(
        main,
        "<h1>Allow access?</h1>\
         <p><strong>{client}</strong> asks for access to your account. You will be sent back to \
         <strong>{returns_to}</strong>.</p>\
         <form method=\"post\" action=\"/authorize/decision\">\
         <input type=\"hidden\" name=\"request\" value=\"{request}\">\
         <fieldset><legend>Account</legend>",
        client = escaped(client_id),
        returns_to = escaped(returns_to),
        request = escaped(request),
    );
    let chosen = hint.unwrap_or(TestAccount::ADA);
    for account in accounts.iter().copied() {
        let _ = write!(
            main,
            "<label><input type=\"radio\" name=\"account\" value=\"{id}\"{checked}> {name} ({email})</label>",
            id = escaped(account.id),
            checked = if account == chosen { " checked" } else { "" },
            name = escaped(account.name),
            email = escaped(account.email),
        );
    }
    main.push_str("</fieldset>");
    if !scopes.is_empty() {
        main.push_str("<fieldset><legend>What it may do</legend>");
        for scope in scopes.iter() {
            let _ = write!(
                main,
                "<label><input type=\"checkbox\" name=\"scope\" value=\"{scope}\" checked> {meaning}\
                 <small>{scope}</small></label>",
                scope = escaped(scope.as_str()),
                meaning = meaning(scope.as_str()),
            );
        }
        main.push_str("</fieldset>");
    }
    main.push_str(
        "<p><button type=\"submit\" name=\"decision\" value=\"allow\">Allow</button>\
         <button type=\"submit\" name=\"decision\" value=\"deny\">Deny</button></p></form>",
    );
    page(StatusCode::OK, "Allow access?", &main)
}

/// Returns the page for errors that cannot be reported to the client, because its identity or its
/// redirect URI is wrong.
pub(super) fn error(what: &'static str) -> HttpResponse {
    let main = format!("<h1>This link does not work</h1><p>{}</p>", escaped(what));
    page(StatusCode::BAD_REQUEST, "This link does not work", &main)
}

fn meaning(scope: &str) -> &'static str {
    match scope {
        "notes.read" => "Read your notes",
        "notes.write" => "Write notes",
        _ => "Use this permission",
    }
}

fn page(status: StatusCode, title: &str, main: &str) -> HttpResponse {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} - Sandbox</title><style>{STYLE}</style></head>\
         <body><main>{main}</main></body></html>"
    );
    let headers: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    headers
        .into_iter()
        .fold(HttpResponse::new(status, html), |response, (name, value)| {
            response.with_header(name, HeaderValue::from_static(value))
        })
}

/// Escapes text for an element or a quoted attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Decodes the output of [`escaped`].
pub(super) fn unescaped(text: &str) -> String {
    // The ampersand is last: `&amp;lt;` stands for `&lt;`, not for `<`.
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_scope_stays_text() {
        let scopes: Scopes = "<script>alert('1')</script>&lt;".parse().unwrap();
        let answer = consent("r", "c", "https://host.test", &scopes, (&TestAccount::ALL, None));
        let html = String::from_utf8(answer.body.as_bytes().to_vec()).unwrap();
        assert!(!html.contains("<script"));
        for text in ["<a href='x'>&amp;\"", "&lt;", "plain"] {
            assert_eq!(unescaped(&escaped(text)), text);
        }
    }
}
