//! As much of JSON Schema as the API's description uses.

use serde_json::Value;

/// Why a value does not fit a schema of the document, if it does not.
pub(crate) fn mismatch(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    check(document, schema, value, "$")
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = document
            .pointer(&name[1..])
            .unwrap_or_else(|| panic!("no {name}"));
        return check(document, target, value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices
            .iter()
            .filter(|it| check(document, it, value, at).is_none());
        return (fitting.count() != 1).then(|| format!("{at}: not one of the choices"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => panic!("{at}: a schema without a type"),
    };
    let own = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.contains(&own) {
        return Some(format!("{at}: {own} instead of {types:?}"));
    }
    if let Some(choices) = schema["enum"].as_array()
        && !choices.contains(value)
    {
        return Some(format!("{at}: {value} is none of the values"));
    }
    match (schema["format"].as_str(), value.as_str()) {
        (Some("uuid"), Some(text)) if text.len() != 36 => return Some(format!("{at}: no UUID")),
        (Some("date-time"), Some(text)) if !(text.len() == 20 && text.ends_with('Z')) => {
            return Some(format!("{at}: no time"));
        }
        _ => {}
    }
    if let Some(items) = value.as_array() {
        return items
            .iter()
            .find_map(|item| check(document, &schema["items"], item, &format!("{at}[]")));
    }
    let members = value.as_object()?;
    let properties = schema["properties"].as_object();
    for name in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !members.contains_key(name) {
            return Some(format!("{at}.{name} is missing"));
        }
    }
    members.iter().find_map(
        |(name, member)| match properties.and_then(|properties| properties.get(name)) {
            Some(schema) => check(document, schema, member, &format!("{at}.{name}")),
            None if schema["additionalProperties"] == false => Some(format!("{at}.{name} is not described")),
            None => None,
        },
    )
}
