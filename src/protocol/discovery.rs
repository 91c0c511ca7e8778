//! Finds the site that a connection is for.

use serde_json::Value;

use crate::http::HttpResponse;
use crate::model::Parameters;
use crate::provider::{Discovery, InvalidParameter, ParameterProblem, Pointer, ServerDescriptor, Transport};

/// Returns the values of the descriptor's parameters in the answer.
///
/// # Errors
///
/// [`InvalidParameter`] names the parameter without a value, or the one that the host must set
/// because several entries match.
pub fn parse_discovery(
    discovery: &Discovery,
    server: &ServerDescriptor,
    parameters: &Parameters,
    response: &HttpResponse,
    transport: Transport,
) -> Result<Parameters, InvalidParameter> {
    let body = body(response);
    let entries = entries(discovery, &body);
    let wanted = discovery
        .pick
        .as_ref()
        .and_then(|pick| Some((pick, parameters.get(&pick.parameter)?)));
    let fitting: Vec<&Value> = entries
        .into_iter()
        .filter(|entry| {
            wanted.is_none_or(|(pick, wanted)| {
                text(entry, &pick.pointer)
                    .is_some_and(|found| found.trim_end_matches('/') == wanted.trim_end_matches('/'))
            })
        })
        .collect();
    let problem = |problem| {
        let first = discovery.values.keys().next();
        let named = discovery.pick.as_ref().map(|pick| &pick.parameter).or(first);
        InvalidParameter {
            name: named.cloned().unwrap_or_default(),
            problem,
        }
    };
    let entry = match fitting.as_slice() {
        [] => return Err(problem(ParameterProblem::Missing)),
        [entry] => entry,
        [first, others @ ..] => {
            // A site may be listed once for each of its products.
            let same = |other: &&Value| {
                discovery
                    .values
                    .values()
                    .all(|pointer| text(other, pointer) == text(first, pointer))
            };
            if !others.iter().all(same) {
                return Err(problem(ParameterProblem::Several));
            }
            first
        }
    };
    let mut found = Parameters::new();
    for (name, pointer) in &discovery.values {
        let missing = || InvalidParameter {
            name: name.clone(),
            problem: ParameterProblem::Missing,
        };
        let rule = server
            .parameters
            .iter()
            .find(|rule| rule.name == *name)
            .ok_or_else(missing)?;
        match text(entry, pointer) {
            Some(value) => drop(found.insert(name.clone(), rule.accept(&value, transport)?)),
            None if rule.optional => {}
            None => return Err(missing()),
        }
    }
    Ok(found)
}

/// Returns the values of the parameter that selects an entry, from all entries of the answer: each
/// value once, in the order of the answer, at most `most`. Values that violate the parameter's rule
/// are omitted.
pub fn discovery_choices(
    discovery: &Discovery,
    server: &ServerDescriptor,
    response: &HttpResponse,
    transport: Transport,
    most: usize,
) -> Vec<String> {
    let Some(pick) = &discovery.pick else {
        return Vec::new();
    };
    let Some(rule) = server.parameters.iter().find(|rule| rule.name == pick.parameter) else {
        return Vec::new();
    };
    let body = body(response);
    let mut choices = Vec::new();
    for entry in entries(discovery, &body) {
        let value = text(entry, &pick.pointer).and_then(|value| rule.accept(&value, transport).ok());
        if let Some(value) = value.filter(|value| !choices.contains(value)) {
            choices.push(value);
        }
    }
    choices.truncate(most);
    choices
}

fn body(response: &HttpResponse) -> Value {
    if response.status.is_success() {
        serde_json::from_slice(response.body.as_bytes()).unwrap_or(Value::Null)
    } else {
        Value::Null
    }
}

fn entries<'a>(discovery: &Discovery, body: &'a Value) -> Vec<&'a Value> {
    match discovery.entries.find_in(body) {
        Some(Value::Array(entries)) => entries.iter().collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(one) => vec![one],
    }
}

fn text(entry: &Value, pointer: &Pointer) -> Option<String> {
    match pointer.find_in(entry)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::catalog;
    use http::StatusCode;

    fn find(site: Option<&str>, status: u16, body: &str) -> Result<String, (String, ParameterProblem)> {
        let jira = catalog::jira();
        let parameters = site
            .map(|site| ("site_url".to_owned(), site.to_owned()))
            .into_iter()
            .collect();
        let response = HttpResponse::new(StatusCode::from_u16(status).unwrap(), body);
        parse_discovery(
            jira.discovery.as_ref().unwrap(),
            &catalog::atlassian(),
            &parameters,
            &response,
            Transport::HttpsOnly,
        )
        .map(|mut found| found.remove("cloud_id").unwrap())
        .map_err(|error| (error.name, error.problem))
    }

    #[test]
    fn the_sites_to_choose_from_are_listed_once_and_as_the_rule_allows() {
        let list = |status: u16, body: &str, most| {
            let response = HttpResponse::new(StatusCode::from_u16(status).unwrap(), body);
            discovery_choices(
                catalog::jira().discovery.as_ref().unwrap(),
                &catalog::atlassian(),
                &response,
                Transport::HttpsOnly,
                most,
            )
        };
        let body = r#"[{"id":"c-1","url":"https://b.atlassian.net"},{"id":"c-2","url":"https://a.atlassian.net"},
            {"id":"c-1","url":"https://b.atlassian.net"},{"id":"c-3","url":"https://evil.test/<script>"},{"id":"c-4"}]"#;
        assert_eq!(
            list(200, body, 9),
            ["https://b.atlassian.net", "https://a.atlassian.net"]
        );
        assert_eq!(list(200, body, 1), ["https://b.atlassian.net"]);
        assert!(list(401, body, 9).is_empty());
        assert!(list(200, "[]", 9).is_empty());
    }

    #[test]
    fn one_site_is_taken_and_several_are_never_a_silent_choice() {
        use ParameterProblem::{Malformed, Missing, Several};
        let one = r#"[{"id":"c-1","url":"https://a.atlassian.net"}]"#;
        let two =
            r#"[{"id":"c-1","url":"https://a.atlassian.net"},{"id":"c-2","url":"https://b.atlassian.net"}]"#;
        let twice =
            r#"[{"id":"c-1","url":"https://a.atlassian.net"},{"id":"c-1","url":"https://a.atlassian.net"}]"#;
        let (site, other) = (Some("https://b.atlassian.net"), Some("https://c.atlassian.net"));
        for (site, status, body, expected) in [
            (None, 200, one, Ok("c-1")),
            (None, 200, twice, Ok("c-1")),
            (site, 200, two, Ok("c-2")),
            (None, 200, two, Err(("site_url", Several))),
            (other, 200, two, Err(("site_url", Missing))),
            (None, 200, "[]", Err(("site_url", Missing))),
            (None, 401, one, Err(("site_url", Missing))),
            (None, 200, r#"[{"id":"../x"}]"#, Err(("cloud_id", Malformed))),
            (
                None,
                200,
                r#"[{"url":"https://a.atlassian.net"}]"#,
                Err(("cloud_id", Missing)),
            ),
        ] {
            let expected = expected
                .map(str::to_owned)
                .map_err(|(name, problem)| (name.to_owned(), problem));
            assert_eq!(find(site, status, body), expected, "{site:?} {status} {body}");
        }
    }
}
