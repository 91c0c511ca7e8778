//! What a request brings: the fields of its query and its body, read strictly.

use std::collections::BTreeMap;

use http::request::Parts;
use http::{HeaderMap, header};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::json::Json;
use super::refusal::Refusal;
use crate::model::Parameters;

/// The longest path and query. Codes of several kilobytes exist.
pub(super) const MAX_TARGET: usize = 16 * 1024;

/// What may have several values: boxes of one name in a form, an array of strings in JSON.
const LISTS: [&str; 1] = ["also"];

/// The member that holds the values of a connection's parameters.
const PARAMETERS: &str = "parameters";
/// What the fields of a form begin with that hold them.
const PARAMETER: &str = "parameter.";

type Fields = BTreeMap<String, Zeroizing<String>>;

/// The body of a request that changes something.
#[derive(Default)]
struct Body {
    fields: Fields,
    lists: BTreeMap<String, Vec<String>>,
    /// The values of a connection's parameters, empty ones left out.
    parameters: Parameters,
}

/// A request, read.
pub(super) struct Incoming<'a> {
    pub(super) head: &'a Parts,
    query: Fields,
    body: Body,
    json: bool,
}

impl<'a> Incoming<'a> {
    /// Reads the query, and the body of a request that changes something: a form, or a JSON object.
    pub(super) fn read(head: &'a Parts, body: &[u8]) -> Result<Self, Refusal> {
        // Of the callback's query the protocol layer is the reader; that a name comes twice is for it to say.
        let query = head.uri.query().unwrap_or_default();
        let query = pairs(query.as_bytes());
        let mut incoming = Self {
            head,
            query,
            body: Body::default(),
            json: is_json(&head.headers),
        };
        if head.method.is_safe() || body.is_empty() {
            return Ok(incoming);
        }
        incoming.body = match media_type(&head.headers).as_deref() {
            Some("application/x-www-form-urlencoded") => form(body)?,
            Some("application/json") => object(body)?,
            _ => return Err(Refusal::media_type()),
        };
        Ok(incoming)
    }

    /// A field of the query, if it is there and not empty.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        filled(&self.query, name)
    }

    /// A field of the body, if it is there and not empty.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        filled(&self.body.fields, name)
    }

    /// The values of a field that may have several; what is empty is left out.
    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.body.lists.get(name);
        values.into_iter().flatten().map(String::as_str)
    }

    /// The values of a connection's parameters.
    pub(super) const fn parameters(&self) -> &Parameters {
        &self.body.parameters
    }

    /// The values of a field of the query that may have several.
    pub(super) fn query_list(&self, name: &str) -> Vec<String> {
        let query = self.head.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes())
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
            .collect()
    }

    /// Whether a box was ticked, or a member is true.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.field(name), Some("true" | "on" | "1"))
    }

    /// Whether the answer should be JSON.
    pub(super) const fn wants_json(&self) -> bool {
        self.json
    }
}

fn filled<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields
        .get(name)
        .map(|value| value.as_str())
        .filter(|value| !value.is_empty())
}

/// The pairs of a query. Of a name that comes twice the first counts.
fn pairs(text: &[u8]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in form_urlencoded::parse(text) {
        fields
            .entry(name.into_owned())
            .or_insert_with(|| Zeroizing::new(value.into_owned()));
    }
    fields
}

fn form(body: &[u8]) -> Result<Body, Refusal> {
    let mut read = Body::default();
    for (name, value) in form_urlencoded::parse(body) {
        if LISTS.contains(&name.as_ref()) {
            read.add(&name, value.into_owned());
        } else if let Some(parameter) = name.strip_prefix(PARAMETER) {
            let known = read
                .parameters
                .insert(parameter.to_owned(), value.trim().to_owned());
            if known.is_some() {
                return Err(Refusal::invalid("a field comes twice"));
            }
        } else if read.fields.contains_key(name.as_ref()) {
            return Err(Refusal::invalid("a field comes twice"));
        } else {
            let value = Zeroizing::new(value.into_owned());
            read.fields.insert(name.into_owned(), value);
        }
    }
    // A field that is left empty is not a value.
    read.parameters.retain(|_, value| !value.is_empty());
    Ok(read)
}

/// The members of a JSON object: strings, booleans, arrays of strings where several are allowed, and the values of
/// parameters.
fn object(body: &[u8]) -> Result<Body, Refusal> {
    let members = match serde_json::from_slice(body) {
        Ok(Json::Object(members)) => members,
        Ok(_) | Err(_) => {
            return Err(Refusal::invalid(
                "the body is not a JSON object, or a member comes twice",
            ));
        }
    };
    let mut read = Body::default();
    for (name, value) in members {
        let is_list = LISTS.contains(&name.as_str());
        match value {
            Json::Null => {}
            Json::List(values) if is_list => {
                for value in values {
                    let Json::Text(value) = value else {
                        return Err(Refusal::invalid("an array has a member that is not a string"));
                    };
                    read.add(&name, value.to_string());
                }
            }
            Json::Object(values) if name == PARAMETERS => {
                for (name, value) in values {
                    let Json::Text(value) = value else {
                        return Err(Refusal::invalid("a parameter is not a string"));
                    };
                    read.parameters.insert(name, value.to_string());
                }
            }
            _ if is_list => return Err(Refusal::invalid("a member is not an array of strings")),
            _ if name == PARAMETERS => return Err(Refusal::invalid("the parameters are not an object")),
            Json::Text(text) => drop(read.fields.insert(name, text)),
            Json::Bool(flag) => drop(read.fields.insert(name, Zeroizing::new(flag.to_string()))),
            Json::List(_) | Json::Object(_) | Json::Number => {
                return Err(Refusal::invalid("a member is neither a string nor a boolean"));
            }
        }
    }
    Ok(read)
}

impl Body {
    fn add(&mut self, name: &str, value: String) {
        if !value.is_empty() {
            self.lists.entry(name.to_owned()).or_default().push(value);
        }
    }
}

/// The media type of the body, without its parameters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

/// Whether the caller speaks JSON: it sends it, or takes nothing else.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let accepts = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    media_type(headers).as_deref() == Some("application/json")
        || accepts.to_ascii_lowercase().starts_with("application/json")
}

/// Whether the browser fetches it before anybody has asked to see it.
pub(super) fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz"].into_iter().any(|name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("prefetch") || value.contains("prerender"))
    })
}

/// Whether the browser says that another site makes the request. `Origin: null` says nothing: it is what browsers
/// write for a page with `Referrer-Policy: no-referrer`, such as ours.
pub(super) fn is_foreign(headers: &HeaderMap, own: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let by_site = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let by_origin = text("origin").is_some_and(|origin| origin != "null" && origin != own);
    by_site || by_origin
}
