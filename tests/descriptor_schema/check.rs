//! As much of JSON Schema as the descriptors' schema uses.

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
    for key in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[key].as_array() {
            let fits = |choice: &&Value| check(document, choice, value, at).is_none();
            let fitting = choices.iter().filter(fits).count();
            return (fitting != 1).then(|| format!("{at}: fits {fitting} of the choices"));
        }
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => panic!("{at}: a schema without a type"),
    };
    let (own, wider) = match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::Number(number) if number.is_u64() => ("integer", "number"),
        Value::Number(_) => ("number", ""),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
    };
    if !types.contains(&own) && !types.contains(&wider) {
        return Some(format!("{at}: {own} instead of {types:?}"));
    }
    if !schema["const"].is_null() && schema["const"] != *value {
        return Some(format!("{at}: not {}", schema["const"]));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str()) {
        let fits = match pattern {
            "^(/.*)?$" => text.is_empty() || text.starts_with('/'),
            other => panic!("{at}: a pattern that this check does not know: {other}"),
        };
        if !fits {
            return Some(format!("{at}: {text} does not match {pattern}"));
        }
    }
    if schema["minLength"] == 1 && value == "" {
        return Some(format!("{at}: is empty"));
    }
    if let Some(items) = value.as_array() {
        let each = |item: &Value| check(document, &schema["items"], item, &format!("{at}[]"));
        return items.iter().find_map(each);
    }
    let members = value.as_object()?;
    let mut required = schema["required"].as_array().into_iter().flatten();
    if let Some(name) = required.find(|name| !members.contains_key(name.as_str().unwrap_or_default())) {
        return Some(format!("{at}.{name} is missing"));
    }
    members.iter().find_map(|(name, member)| {
        let at = format!("{at}.{name}");
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => Some(format!("{at} is not described")),
            (Value::Null, more) => check(document, more, member, &at),
            (property, _) => check(document, property, member, &at),
        }
    })
}
