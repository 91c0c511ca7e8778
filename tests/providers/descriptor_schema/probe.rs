//! Generates files with one unusual value each from the schema.

use serde_json::{Value, json};

use super::schema::{POINTER, silent};

/// Returns a server and a provider with only the required members.
pub(crate) fn least() -> Value {
    json!({
        "servers": [{
            "id": "acme", "authorization_endpoint": "https://a.example/a", "token_endpoint": "https://a.example/t",
        }],
        "providers": [{ "id": "acme", "server": "acme", "name": "Acme", "api_base": "https://a.example/api" }],
    })
}

/// Returns a file with this value in a place of its type.
fn holding(kind: &str, value: Value) -> Value {
    let mut file = least();
    let (side, path): (&str, &[&str]) = match kind {
        "AuthorizationServer" => ("servers", &[]),
        "Provider" => ("providers", &[]),
        "ParameterRule" => ("servers", &["parameters", "0"]),
        "AnswerShape" => ("servers", &["answer"]),
        "SuccessFlag" => ("servers", &["answer", "success"]),
        "DeadGrant" => ("servers", &["dead_grants", "0"]),
        "RedirectRules" => ("servers", &["redirects"]),
        "ApiHost" => ("providers", &["api_hosts", "0"]),
        "AccountEndpoint" => ("providers", &["account"]),
        "AccountPointers" => ("providers", &["account_in_answer"]),
        "Discovery" => ("providers", &["discovery"]),
        "Pick" => ("providers", &["discovery", "pick"]),
        "ScopeTiers" => ("providers", &["tiers"]),
        "ScopeName" => ("providers", &["scope_names", "0"]),
        "ScopeModes" => ("providers", &["scope_modes"]),
        "TokenHeader" => ("providers", &["token_header"]),
        other => panic!("say where {other} stands"),
    };
    let place = &mut file[side][0];
    match path {
        [] => *place = value,
        [one] => place[*one] = value,
        [list, "0"] => place[*list] = json!([value]),
        [outer, inner] => {
            place[*outer] = silent(if *outer == "answer" {
                "AnswerShape"
            } else {
                "Discovery"
            });
            place[*outer][*inner] = value;
        }
        _ => unreachable!(),
    }
    file
}

fn objects(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let definitions = document["$defs"].as_object().unwrap();
    definitions
        .iter()
        .filter(|(_, definition)| definition["type"] == "object")
}

/// Returns files with every member of every type, with values of every kind and without the member.
pub(crate) fn files(document: &Value) -> Vec<(Value, String)> {
    let probes = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(1),
        json!(1.5),
        json!(70_000),
        json!(""),
        json!("x"),
        json!("x y"),
        json!("/x"),
        json!([]),
        json!(["x"]),
        json!([""]),
        json!(["x y"]),
        json!([1]),
        json!([{}]),
        json!({}),
        json!({ "x": "y" }),
        json!({ "x": 1 }),
        json!({ "x": ["y z"] }),
        json!({ "x": { "y": "z" } }),
        json!({ "x": "y", "z": "y" }),
    ];
    let mut files = Vec::new();
    for (kind, definition) in objects(document) {
        let usual = silent(kind);
        for (name, property) in definition["properties"].as_object().unwrap() {
            let mut without = usual.clone();
            without.as_object_mut().unwrap().remove(name);
            files.push((holding(kind, without), format!("{kind} without {name}")));
            for value in probes.iter().cloned().chain(choices_of(document, property)) {
                // Reading a file does not check pointers; validation does.
                if property.to_string().contains(POINTER) && value.to_string().contains('x') {
                    continue;
                }
                // serde also accepts the members of an object in order, from an array.
                if value.is_array() && is_object(document, property) {
                    continue;
                }
                let what = format!("{kind}.{name} = {value}");
                let mut changed = usual.clone();
                changed[name] = value;
                files.push((holding(kind, changed), what));
            }
        }
        let mut more = usual;
        more["no_such_member"] = json!(1);
        files.push((holding(kind, more), format!("{kind} with one more")));
    }
    files
}

fn is_object(document: &Value, property: &Value) -> bool {
    let choices = property["anyOf"].as_array().into_iter().flatten();
    let mut named = choices.chain([property]).filter_map(|it| it["$ref"].as_str());
    named.any(|name| {
        let name = name.trim_start_matches("#/$defs/");
        document["$defs"][name]["type"] == "object"
    })
}

/// Returns the members that are closed choices, with each of their values.
pub(crate) fn choices() -> Vec<Value> {
    let document = super::document();
    let mut files = Vec::new();
    for (kind, definition) in objects(&document) {
        for (name, property) in definition["properties"].as_object().unwrap() {
            for value in choices_of(&document, property) {
                // TOML has no null, so absent members are omitted.
                let mut one = silent(kind);
                one.as_object_mut().unwrap().retain(|_, value| !value.is_null());
                one[name] = value;
                let mut file = holding(kind, one);
                for side in ["servers", "providers"] {
                    without_nulls(&mut file[side]);
                }
                files.push(file);
            }
        }
    }
    assert!(files.len() > 30, "only {} choices", files.len());
    files
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Returns the values of a member that is a closed choice; none for other members.
fn choices_of(document: &Value, property: &Value) -> Vec<Value> {
    let name = property["$ref"]
        .as_str()
        .and_then(|name| name.strip_prefix("#/$defs/"));
    let variants = name.and_then(|name| document["$defs"][name]["oneOf"].as_array());
    variants.into_iter().flatten().map(value_of).collect()
}

/// Returns a value of a variant, with its required data.
fn value_of(variant: &Value) -> Value {
    match variant["const"].as_str() {
        Some(name) => name.into(),
        None => object_of(variant),
    }
}

fn object_of(schema: &Value) -> Value {
    let members = schema["properties"].as_object().unwrap();
    let required = schema["required"].as_array().into_iter().flatten();
    required
        .map(|name| {
            let name = name.as_str().unwrap();
            let value = match members[name]["type"].as_str() {
                Some("object") => object_of(&members[name]),
                Some("array") => json!(["a", "b"]),
                Some("integer") => json!(60),
                _ => json!("/x"),
            };
            (name.to_owned(), value)
        })
        .collect()
}
