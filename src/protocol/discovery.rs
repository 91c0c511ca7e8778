//! Which of a person's sites a connection is for.

use serde_json::Value;

use crate::http::HttpResponse;
use crate::model::Parameters;
use crate::provider::{AuthorizationServer, Discovery, InvalidParameter, ParameterProblem, Transport};

/// The values that the answer gives for the descriptor's parameters.
///
/// # Errors
///
/// [`InvalidParameter`] names the parameter that has no value, or the one that must be named because several entries
/// fit.
pub fn parse_discovery(
    discovery: &Discovery,
    server: &AuthorizationServer,
    parameters: &Parameters,
    response: &HttpResponse,
    transport: Transport,
) -> Result<Parameters, InvalidParameter> {
    let body: Value = serde_json::from_slice(response.body.as_bytes()).unwrap_or(Value::Null);
    let entries = body
        .pointer(&discovery.entries)
        .filter(|_| response.status.is_success());
    let entries: Vec<&Value> = match entries {
        Some(Value::Array(entries)) => entries.iter().collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(one) => vec![one],
    };
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
            // The same site may be listed once for each product of it.
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

fn text(entry: &Value, pointer: &str) -> Option<String> {
    match entry.pointer(pointer)? {
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
            &jira.discovery.unwrap(),
            &catalog::atlassian(),
            &parameters,
            &response,
            Transport::HttpsOnly,
        )
        .map(|mut found| found.remove("cloud_id").unwrap())
        .map_err(|error| (error.name, error.problem))
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
