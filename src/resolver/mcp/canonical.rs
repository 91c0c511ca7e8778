//! A canonical encoding of JSON values, independent of the order of members.

use serde_json::Value;

/// Appends the value: a letter for its kind, then its length or the number of its parts as `u64`,
/// then the parts. Different values have different encodings, and no encoding is a prefix of
/// another.
pub(super) fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(b'n'),
        Value::Bool(false) => out.push(b'f'),
        Value::Bool(true) => out.push(b't'),
        // The shortest text that parses to the same number; 1 and 1.0 are different.
        Value::Number(number) => {
            out.push(b'd');
            encode_text(&number.to_string(), out);
        }
        Value::String(text) => {
            out.push(b's');
            encode_text(text, out);
        }
        Value::Array(items) => {
            out.push(b'a');
            encode_count(items.len(), out);
            for item in items {
                encode(item, out);
            }
        }
        Value::Object(members) => {
            out.push(b'o');
            encode_count(members.len(), out);
            // Sorted here, because the order of the map depends on a `serde_json` feature that any
            // crate may enable.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            for (name, member) in members {
                encode_text(name, out);
                encode(member, out);
            }
        }
    }
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    encode_count(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn encode_count(count: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(count as u64).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;

    fn encoded(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, &mut out);
        out
    }

    fn small() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-2..3_i64).prop_map(Value::from),
            (-2..3_i32).prop_map(|number| Value::from(f64::from(number) / 2.0)),
            "[ans0\\\\\"]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..3).prop_map(Value::from),
                btree_map("[ab]{0,2}", inner, 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn different_values_are_encoded_differently(one in small(), other in small()) {
            prop_assert_eq!(encoded(&one) == encoded(&other), one == other);
            if one != other {
                prop_assert!(!encoded(&one).starts_with(&encoded(&other)));
            }
        }
    }

    #[test]
    fn what_looks_alike_is_not_the_same() {
        let values = [
            json!(null),
            json!("null"),
            json!(1),
            json!(1.0),
            json!("1"),
            json!([1]),
            json!([[1]]),
            json!([]),
            json!({}),
            json!([{}]),
            json!({"a": 1}),
            json!({"a": [1]}),
            json!(["a", 1]),
            json!({"a": {"b": 1}}),
            json!({"a": {}, "b": 1}),
            json!({"b": {}, "a": 1}),
            json!(["ab", "c"]),
            json!(["a", "bc"]),
            json!(["as", "x"]),
            json!(["a", "sx"]),
            json!(["abc"]),
            json!(["a\",\"bc"]),
            json!("\u{e9}"),
            json!("e\u{301}"),
            json!(9_007_199_254_740_993_u64),
            json!(9_007_199_254_740_992_u64),
        ];
        let all: std::collections::BTreeSet<_> = values.iter().map(encoded).collect();
        assert_eq!(all.len(), values.len());
    }

    #[test]
    fn the_order_of_members_is_nothing() {
        let read = |text| encoded(&serde_json::from_str(text).unwrap());
        let one = read(r#"{"to":"a","copies":{"x":1,"y":[2,3]}}"#);
        assert_eq!(one, read(r#"{ "copies" : {"y":[2,3], "x":1}, "to":"\u0061" }"#));
        assert_ne!(one, read(r#"{"to":"a","copies":{"x":1,"y":[3,2]}}"#));
    }
}
