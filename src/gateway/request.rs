//! Reads the fields of a request's query and body strictly.

use std::collections::BTreeMap;

use http::request::Parts;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::accept::{is_json, media_type};
use super::json::Json;
use super::refusal::Refusal;
use crate::model::Parameters;

/// The maximum length of path and query. Codes of several kilobytes exist.
pub(super) const MAX_TARGET: usize = 16 * 1024;

/// The fields that may have several values: checkboxes of one name in a form, an array of strings
/// in JSON.
const LISTS: [&str; 1] = ["also"];

/// The JSON member that holds the values of a connection's parameters.
const PARAMETERS: &str = "parameters";
/// The prefix of the form fields that hold the values of parameters.
const PARAMETER: &str = "parameter.";

type Fields = BTreeMap<String, Zeroizing<String>>;

/// The body of a request that makes a change.
#[derive(Default)]
struct Body {
    fields: Fields,
    lists: BTreeMap<String, Vec<String>>,
    /// The values of a connection's parameters, without the empty ones.
    parameters: Parameters,
}

/// A request whose fields have been read.
pub(super) struct Incoming<'a> {
    pub(super) head: &'a Parts,
    query: Fields,
    body: Body,
    json: bool,
}

impl<'a> Incoming<'a> {
    /// Reads the query, and the body of a request that makes a change: a form, or a JSON object.
    pub(super) fn read(head: &'a Parts, body: &[u8]) -> Result<Self, Refusal> {
        // The protocol layer reads the query of a callback and decides about repeated names.
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

    /// Returns a field of the query, if it is present and not empty.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        filled(&self.query, name)
    }

    /// Returns a field of the body, if it is present and not empty.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        filled(&self.body.fields, name)
    }

    /// Returns the values of a field that may have several, without the empty ones.
    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.body.lists.get(name);
        values.into_iter().flatten().map(String::as_str)
    }

    /// Returns the values of a connection's parameters.
    pub(super) const fn parameters(&self) -> &Parameters {
        &self.body.parameters
    }

    /// Returns the values of a query field that may have several.
    pub(super) fn query_list(&self, name: &str) -> Vec<String> {
        let query = self.head.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes())
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
            .collect()
    }

    /// Returns whether a checkbox was ticked, or a member is true.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.field(name), Some("true" | "on" | "1"))
    }

    /// Returns whether the response should be JSON.
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

/// Returns the pairs of a query. If a name occurs twice, the first occurrence counts.
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
                return Err(Refusal::invalid("A field occurs twice."));
            }
        } else if read.fields.contains_key(name.as_ref()) {
            return Err(Refusal::invalid("A field occurs twice."));
        } else {
            let value = Zeroizing::new(value.into_owned());
            read.fields.insert(name.into_owned(), value);
        }
    }
    // A field that was left empty has no value.
    read.parameters.retain(|_, value| !value.is_empty());
    Ok(read)
}

/// Reads the members of a JSON object: strings, booleans, arrays of strings where several are
/// allowed, and the values of parameters.
fn object(body: &[u8]) -> Result<Body, Refusal> {
    let Ok(Json::Object(members)) = serde_json::from_slice(body) else {
        return Err(Refusal::invalid(
            "the body is not a JSON object, or a member comes twice",
        ));
    };
    let mut read = Body::default();
    for (name, value) in members {
        let is_list = LISTS.contains(&name.as_str());
        match value {
            Json::Null => {}
            Json::List(values) if is_list => {
                for value in values {
                    let Json::Text(value) = value else {
                        return Err(Refusal::invalid("An array has a member that is not a string."));
                    };
                    read.add(&name, value.to_string());
                }
            }
            Json::Object(values) if name == PARAMETERS => {
                for (name, value) in values {
                    let Json::Text(value) = value else {
                        return Err(Refusal::invalid("A parameter is not a string."));
                    };
                    read.parameters.insert(name, value.to_string());
                }
            }
            _ if is_list => return Err(Refusal::invalid("A member is not an array of strings.")),
            _ if name == PARAMETERS => return Err(Refusal::invalid("The parameters are not an object.")),
            Json::Text(text) => drop(read.fields.insert(name, text)),
            Json::Bool(flag) => drop(read.fields.insert(name, Zeroizing::new(flag.to_string()))),
            Json::List(_) | Json::Object(_) | Json::Number => {
                return Err(Refusal::invalid("A member is neither a string nor a boolean."));
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
