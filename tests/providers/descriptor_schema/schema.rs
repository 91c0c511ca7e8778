//! Generates the JSON Schema of a descriptor file from the types and their defaults.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use valetkey::internals::provider::{
    AccountEndpoint, AccountPointers, AnswerShape, ApiHost, DeadGrant, Discovery, ParameterRule, Pick,
    RedirectRules, ScopeModes, ScopeName, ScopeTiers, SuccessFlag, TokenHeader,
};
use valetkey::provider::{AuthorizationServer, DescriptorFile, Provider};

use super::source::{Holds, Member, Shape};

/// No control characters and no line separators.
const ID: &str = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$";

/// RFC 6749, appendix A.4.
const SCOPE: &str = r"^[\x21\x23-\x5b\x5d-\x7e]*$";

/// RFC 6901.
pub(crate) const POINTER: &str = "^(/.*)?$";

/// Returns the schema as the file contains it.
pub(crate) fn document(shapes: &BTreeMap<String, Shape>) -> Value {
    let mut definitions = Map::new();
    for (name, shape) in shapes.iter().filter(|(name, _)| *name != "DescriptorFile") {
        definitions.insert(name.clone(), definition(name, shape));
    }
    let mut document = definition("DescriptorFile", &shapes["DescriptorFile"]);
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    document["title"] = "valetkey descriptors".into();
    document["$defs"] = definitions.into();
    document
}

fn definition(name: &str, shape: &Shape) -> Value {
    match shape {
        Shape::Struct(fields) => object(fields, &silent(name)),
        Shape::Enum(variants) => {
            let choices: Vec<Value> = variants.iter().map(variant).collect();
            json!({ "oneOf": choices })
        }
    }
}

fn object(fields: &[Member], silent: &Value) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let Holds::Type(kind) = &field.holds else {
            panic!("{} has no type", field.name)
        };
        let mut schema = of_type(kind, &field.attributes);
        schema["description"] = field.about.as_str().into();
        if is_required(field) {
            required.push(field.name.as_str());
        } else if !silent.is_null() {
            schema["default"] = silent[&field.name].clone();
        }
        properties.insert(field.name.clone(), schema);
    }
    let mut object = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

pub(crate) fn is_required(field: &Member) -> bool {
    !field.attributes.contains("default")
}

fn variant(variant: &Member) -> Value {
    let mut schema = match &variant.holds {
        Holds::Nothing => json!({ "type": "string", "const": variant.name }),
        Holds::Type(kind) => wrapped(&variant.name, of_type(kind, &variant.attributes)),
        Holds::Members(fields) => wrapped(&variant.name, object(fields, &Value::Null)),
    };
    schema["description"] = variant.about.as_str().into();
    schema
}

fn wrapped(name: &str, schema: Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "required": [name], "properties": { name: schema } })
}

fn of_type(kind: &str, attributes: &str) -> Value {
    let text = if attributes.contains("scalar::") {
        json!({ "type": ["string", "number", "boolean"] })
    } else {
        json!({ "type": "string" })
    };
    let inner = |outer: &str| kind.strip_prefix(outer).and_then(|rest| rest.strip_suffix('>'));
    if let Some(kind) = inner("Option<") {
        let mut schema = of_type(kind, attributes);
        return match schema.get_mut("type") {
            Some(Value::String(one)) => {
                schema["type"] = json!([one, "null"]);
                schema
            }
            Some(Value::Array(several)) => {
                several.push("null".into());
                schema
            }
            _ => json!({ "anyOf": [schema, { "type": "null" }] }),
        };
    }
    if let Some(kind) = inner("Vec<") {
        return json!({ "type": "array", "items": of_type(kind, attributes) });
    }
    if let Some(kind) = inner("BTreeMap<String, ") {
        return json!({ "type": "object", "additionalProperties": of_type(kind, attributes) });
    }
    match kind {
        "String" | "Pattern" => text,
        "bool" => json!({ "type": "boolean" }),
        "u16" => json!({ "type": "integer", "minimum": 0, "maximum": u16::MAX }),
        "Duration" => json!({ "type": "integer", "minimum": 0 }),
        "ServerId" | "ProviderId" => {
            json!({ "type": "string", "minLength": 1, "maxLength": 512, "pattern": ID })
        }
        "Scopes" => json!({
            "type": "array",
            "items": { "type": "string", "minLength": 1, "maxLength": 1024, "pattern": SCOPE },
        }),
        "Pointer" => json!({ "type": "string", "pattern": POINTER }),
        other => json!({ "$ref": format!("#/$defs/{other}") }),
    }
}

/// Returns a value of the type from a file with only the required members.
pub(crate) fn silent(name: &str) -> Value {
    macro_rules! silent {
        ($($kind:ident: $least:tt,)*) => {
            match name {
                $(stringify!($kind) => {
                    let value: $kind = serde_json::from_value(json!($least)).unwrap();
                    serde_json::to_value(value).unwrap()
                })*
                other => panic!("say what the least {other} is"),
            }
        };
    }
    silent! {
        DescriptorFile: {},
        AuthorizationServer: {
            "id": "a", "authorization_endpoint": "https://a.example/a", "token_endpoint": "https://a.example/t"
        },
        Provider: { "id": "a", "server": "a", "name": "A" },
        ParameterRule: { "name": "a", "kind": "word" },
        ApiHost: { "origin": "https://a.example" },
        AccountEndpoint: { "url": "https://a.example/me", "id": ["/id"] },
        AccountPointers: { "id": ["/id"] },
        AnswerShape: {},
        SuccessFlag: { "pointer": "/ok", "values": ["true"] },
        Discovery: { "url": "https://a.example/sites", "values": {} },
        Pick: { "parameter": "a", "pointer": "/a" },
        ScopeTiers: {},
        ScopeName: { "scope": "a", "text": {} },
        ScopeModes: { "parameter": "a", "scopes": {} },
        DeadGrant: {},
        RedirectRules: {},
        TokenHeader: { "name": "x", "prefix": "" },
    }
}
