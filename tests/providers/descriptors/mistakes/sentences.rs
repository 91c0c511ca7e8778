//! Each mistake in a descriptor has a specific message.

use super::*;

/// Each cause has a specific message, which names the value to correct.
#[test]
fn each_cause_has_its_own_sentence() {
    let rule = |rule: &str| format!(r#""parameters":[{rule}]"#);
    let at = |url: &str, rule: &str| format!(r#""token_endpoint":"{url}","parameters":[{rule}]"#);
    let shop = r#"{"name":"shop","kind":"word"}"#;
    let text = r#"{"name":"shop","kind":"text"}"#;
    let optional = r#"{"name":"shop","kind":"word","optional":true}"#;
    let empty = r#"{"name":"shop","kind":"word","default":""}"#;
    let cases: Vec<(String, &str, &str, &[&str])> = vec![
        // The rule of a value.
        (
            rule(r#"{"name":"a b","kind":"word"}"#),
            "",
            "parameters",
            &["\"a b\"", "a name with characters other"],
        ),
        (
            rule(r#"{"name":"scope","kind":"word"}"#),
            "",
            "parameters",
            &["reserved name"],
        ),
        (
            rule(r#"{"name":"access_token","kind":"word"}"#),
            "",
            "parameters",
            &["credential"],
        ),
        (
            rule(&format!("{shop},{shop}")),
            "",
            "parameters",
            &["\"shop\"", "twice"],
        ),
        (
            rule(r#"{"name":"x","kind":{"one_of":[]}}"#),
            "",
            "parameters",
            &["no values"],
        ),
        (
            rule(r#"{"name":"x","kind":"word","pattern":"("}"#),
            "",
            "parameters",
            &["pattern"],
        ),
        (
            rule(r#"{"name":"x","kind":"word","pattern":"a+","default":"b"}"#),
            "",
            "parameters",
            &["default"],
        ),
        (
            rule(r#"{"name":"x","kind":"word","pattern":"a+","example":"b"}"#),
            "",
            "parameters",
            &["example"],
        ),
        (
            rule(r#"{"name":"x","kind":"word","source":{"callback":"scope"}}"#),
            "",
            "parameters",
            &["callback"],
        ),
        (
            rule(r#"{"name":"x","kind":"base_url","source":{"callback":"x"}}"#),
            "",
            "parameters",
            &["one_of", "the browser controls", "alternative"],
        ),
        (
            rule(r#"{"name":"x","kind":"word","source":{"token_answer":"x"}}"#),
            "",
            "parameters",
            &["pointer"],
        ),
        // A URL.
        (
            r#""token_endpoint":"http://as.test/t""#.into(),
            "",
            "token_endpoint",
            &["is not https"],
        ),
        (
            r#""token_endpoint":"as.test/t""#.into(),
            "",
            "token_endpoint",
            &["https://"],
        ),
        (
            r#""token_endpoint":"https://as.test/a b""#.into(),
            "",
            "token_endpoint",
            &["' '"],
        ),
        (
            r#""token_endpoint":"https://bücher.test/t""#.into(),
            "",
            "token_endpoint",
            &["'ü'"],
        ),
        (
            r#""token_endpoint":"https://as.test/{shop""#.into(),
            "",
            "token_endpoint",
            &["brace"],
        ),
        (
            r#""token_endpoint":"https://as.test/shop}""#.into(),
            "",
            "token_endpoint",
            &["brace"],
        ),
        (
            r#""token_endpoint":"https://u@as.test/t""#.into(),
            "",
            "token_endpoint",
            &["user name"],
        ),
        (
            r#""token_endpoint":"https://as.test/t%""#.into(),
            "",
            "token_endpoint",
            &["'%'"],
        ),
        (
            r#""token_endpoint":"https://$shop.as.test/t""#.into(),
            "",
            "token_endpoint",
            &["'$'"],
        ),
        (
            at("https://${shop}.as.test/t", shop),
            "",
            "token_endpoint",
            &["\"${name}\"", "write {name}"],
        ),
        (
            at("https://as.test/${shop}/t", shop),
            "",
            "token_endpoint",
            &["\"${name}\""],
        ),
        (
            at("https://as.test/{{shop}}/t", shop),
            "",
            "token_endpoint",
            &["\"{{name}}\""],
        ),
        (
            at("https://as.test/:shop/t", shop),
            "",
            "token_endpoint",
            &["\":name\""],
        ),
        (
            at("https://as.test/<shop>/t", shop),
            "",
            "token_endpoint",
            &["\"<name>\""],
        ),
        (
            at("https://as.test/{shop}/t||https://as.test/t", shop),
            "",
            "token_endpoint",
            &["\" || \""],
        ),
        (
            at("https://as.test/{shop}|x", shop),
            "",
            "token_endpoint",
            &["\" || \""],
        ),
        (
            at("https://as.test/{shops}/t", shop),
            "",
            "token_endpoint",
            &["{shops} has no rule"],
        ),
        (
            at("https://as.test/{shop}/t", text),
            "",
            "token_endpoint",
            &["kind that is not allowed", "\"segment\""],
        ),
        (
            at("https://{shop}.as.test/t", text),
            "",
            "token_endpoint",
            &["kind that is not allowed", "\"word\""],
        ),
        (
            at("{shop}/t", shop),
            "",
            "token_endpoint",
            &["kind that is not allowed", "\"base_url\""],
        ),
        (
            r#""token_endpoint":"https://as.test/{client_secret}""#.into(),
            "",
            "token_endpoint",
            &["credential"],
        ),
        (
            r#""token_endpoint":"https://as.test/{client_id}""#.into(),
            "",
            "token_endpoint",
            &["is not allowed here"],
        ),
        (
            at("https://{shop}.as.test/t", optional),
            "",
            "token_endpoint",
            &["{shop}, which may be missing"],
        ),
        (
            at("https://{shop}.as.test/t", empty),
            "",
            "token_endpoint",
            &["{shop}, which may be missing"],
        ),
        (
            at(
                "https://{shop}.as.test/t",
                r#"{"name":"shop","kind":{"one_of":["a"]},"source":{"callback":"s"}}"#,
            ),
            "",
            "token_endpoint",
            &["known only after the consent", "alternative"],
        ),
        (
            format!(
                r#""revocation":{{"delete_with_bearer":{{"url":"https://as.test/{{shop}}"}}}},{}"#,
                rule(optional)
            ),
            "",
            "revocation",
            &["may be missing"],
        ),
        (
            rule(optional),
            r#""api_base":"https://{shop}.as.test""#,
            "api_base",
            &["may be missing"],
        ),
        (
            rule(optional),
            r#""account":{"url":"https://as.test/{shop}","id":["/id"]}"#,
            "account",
            &["may be missing"],
        ),
        (
            String::new(),
            r#""api_base":"https://a.test/v1","api_hosts":[{"origin":"https://b.test"}]"#,
            "api_hosts",
            &["do not cover the API base"],
        ),
        (
            String::new(),
            r#""api_base":"https://a.test/v1","api_hosts":[{"origin":"https://a.test","path_prefix":"/v2"}]"#,
            "api_hosts",
            &["do not cover the API base"],
        ),
        (
            String::new(),
            r#""api_base":"https://a.test","api_hosts":[{"origin":"https://a.test","path_prefix":"/${x}"}]"#,
            "api_hosts",
            &["\"${name}\""],
        ),
        // An added value.
        (
            r#""token_parameters":{"a":"${shop}"}"#.into(),
            "",
            "token_parameters",
            &["\"${name}\""],
        ),
        (
            r#""token_parameters":{"a":"{{shop}}"}"#.into(),
            "",
            "token_parameters",
            &["\"{{name}}\""],
        ),
        (
            r#""token_parameters":{"a":"{ shop }"}"#.into(),
            "",
            "token_parameters",
            &["\"{ name }\""],
        ),
        (
            r#""token_parameters":{"a":":shop"}"#.into(),
            "",
            "token_parameters",
            &["\":name\""],
        ),
        (
            r#""token_parameters":{"a":"<shop>"}"#.into(),
            "",
            "token_parameters",
            &["\"<name>\""],
        ),
        (
            r#""token_parameters":{"a":"{shop"}"#.into(),
            "",
            "token_parameters",
            &["brace"],
        ),
        (
            format!(r#""token_headers":{{"a":"{{shop}}||2025"}},{}"#, rule(shop)),
            "",
            "token_headers",
            &["\" || \""],
        ),
        (
            String::new(),
            r#""api_headers":{"a":"{client_secret}"}"#,
            "api_headers",
            &["credential"],
        ),
        (
            String::new(),
            r#""api_query":{"a":"{shops}"}"#,
            "api_query",
            &["{shops} has no rule"],
        ),
        (
            String::new(),
            r#""authorization_parameters":{"a":"${b}"}"#,
            "authorization_parameters",
            &["\"${name}\""],
        ),
        // Other mistakes.
        (
            r#""scope_separator":"%20""#.into(),
            "",
            "scope_separator",
            &["\",\"", "space"],
        ),
        (
            r#""scope_separator":",""#.into(),
            r#""default_scopes":["a,b"]"#,
            "default_scopes",
            &["separator"],
        ),
        (
            r#""issuer":"https://as.test/{tenant}/v2.0""#.into(),
            "",
            "issuer",
            &["not a template"],
        ),
        (
            r#""issuer":"https://as.test/${tenant}""#.into(),
            "",
            "issuer",
            &["not a template"],
        ),
        (
            r#""resources":["https://{x}.test/"]"#.into(),
            "",
            "resources",
            &["not a template"],
        ),
        (
            r#""authorization_fragment":"/{x}/authorize""#.into(),
            "",
            "authorization_fragment",
            &["not a template"],
        ),
        (
            r#""code_parameter":"{x}""#.into(),
            "",
            "code_parameter",
            &["not a template"],
        ),
        (
            String::new(),
            r#""token_header":{"name":"authorization","prefix":"Bearer {access_token}"}"#,
            "token_header",
            &["not a template"],
        ),
        (
            String::new(),
            r#""default_scopes":["${scope}"]"#,
            "default_scopes",
            &["\"${name}\""],
        ),
        (
            rule(r#"{"name":"x","kind":"host","pattern":"^https?://.*$"}"#),
            "",
            "parameters",
            &["scheme", "removed"],
        ),
        (
            r#""issuer_policy":"match_if_present""#.into(),
            "",
            "issuer",
            &["is missing", "compares it"],
        ),
        (
            r#""issuer_policy":"required""#.into(),
            "",
            "issuer",
            &["is missing"],
        ),
        (
            r#""replaces_builtin":true"#.into(),
            "",
            "replaces_builtin",
            &["no built-in descriptor"],
        ),
    ];
    let mut sentences = std::collections::BTreeSet::new();
    for (server, provider, field, words) in cases {
        let text = file(&server, provider);
        let file: DescriptorFile =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let error = file.validate().expect_err(&text);
        assert_eq!(error.field, field, "{text}: {error}");
        for word in words {
            assert!(error.to_string().contains(word), "{text}: {error}");
        }
        sentences.insert(error.problem());
    }
    assert!(sentences.len() > 35, "only {} sentences", sentences.len());
}
