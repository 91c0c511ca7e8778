//! Statements with named parameters.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::vault::postgres::value::Value;

/// A statement whose `:name` parameters were replaced by `$1`, `$2` and so on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// The text for the server.
    pub(super) text: String,
    /// The name of each parameter, in the order of the numbers.
    pub(super) names: Vec<&'static str>,
}

/// The statements that were parsed so far.
static KNOWN: OnceLock<Mutex<HashMap<&'static str, Arc<Statement>>>> = OnceLock::new();

/// Returns the parsed form of a statement. Each is parsed once.
pub(super) fn parsed(sql: &'static str) -> Arc<Statement> {
    let mut known = KNOWN
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Arc::clone(known.entry(sql).or_insert_with(|| Arc::new(parse(sql))))
}

/// Returns the values in the order in which the statement names its parameters. A name without a
/// value is NULL.
pub(super) fn in_order(sql: &'static str, values: &[(&'static str, Value)]) -> Vec<Value> {
    parsed(sql)
        .names
        .iter()
        .map(|name| {
            let found = values.iter().find(|(known, _)| known == name);
            debug_assert!(found.is_some(), "{name} has no value in {sql}");
            found.map_or(Value::Null, |(_, value)| value.clone())
        })
        .collect()
}

/// Returns every statement that was parsed so far.
#[cfg(test)]
pub(super) fn all() -> Vec<Arc<Statement>> {
    let known = KNOWN.get_or_init(Mutex::default);
    let known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known.values().map(Arc::clone).collect()
}

/// The statements of this crate contain no text in quotes that has a colon, and no `::` casts.
fn parse(sql: &'static str) -> Statement {
    let mut text = String::with_capacity(sql.len());
    let mut names: Vec<&'static str> = Vec::new();
    let mut rest = sql;
    while let Some(at) = rest.find(':') {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let len = from
            .bytes()
            .skip(1)
            .take_while(|byte| byte.is_ascii_lowercase() || *byte == b'_')
            .count();
        let (name, after) = from.split_at(1 + len);
        let number = match names.iter().position(|known| *known == name) {
            Some(at) => at + 1,
            None => {
                names.push(name);
                names.len()
            }
        };
        text.push('$');
        text.push_str(&number.to_string());
        rest = after;
    }
    text.push_str(rest);
    Statement { text, names }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_numbers_in_the_order_in_which_they_first_appear() {
        let statement = parse("SELECT a FROM t WHERE b = :one AND c = :two_ OR d > :one");
        assert_eq!(
            statement.text,
            "SELECT a FROM t WHERE b = $1 AND c = $2 OR d > $1"
        );
        assert_eq!(statement.names, [":one", ":two_"]);
        assert_eq!(parse("SELECT 1").text, "SELECT 1");
    }
}
