//! What is wrong in a file is named.

use valetkey::provider::DescriptorFile;

use super::walk::file;

#[test]
fn a_mistake_in_a_file_is_named_with_what_is_allowed() {
    for (server, provider, says) in [
        (
            r#""scope_seperator":",""#,
            "",
            &["scope_seperator", "scope_separator"][..],
        ),
        (r#""pkce":"plain""#, "", &["plain", "s256", "refused"]),
        (
            r#""answer":{"acces_token":"/x"}"#,
            "",
            &["acces_token", "access_token"],
        ),
        ("", r#""tiers":{"readonly":[]}"#, &["readonly", "read_only"]),
        (
            r#""parameters":[{"name":"x","kind":"number"}]"#,
            "",
            &["number", "word", "base_url", "segment"],
        ),
    ] {
        let error = serde_json::from_str::<DescriptorFile>(&file(server, provider))
            .unwrap_err()
            .to_string();
        for word in says {
            assert!(error.contains(word), "{error}");
        }
    }
    for (server, provider, field) in [
        (r#""token_renames":{"code_verifier":""}"#, "", "token_renames"),
        (
            r#""authorization_renames":{"state":"s"}"#,
            "",
            "authorization_renames",
        ),
        (r#""token_headers":{"authorization":"x"}"#, "", "token_headers"),
        (r#""token_query":{"client_secret":"x"}"#, "", "token_query"),
        (r#""token_parameters":{"x":"{unknown}"}"#, "", "token_parameters"),
        (r#""refresh_parameters":{"x":"{code}"}"#, "", "refresh_parameters"),
        (
            r#""parameters":[{"name":"x","kind":"word","pattern":"a(?!a)"}]"#,
            "",
            "parameters",
        ),
        (r#""answer":{"envelope":"data"}"#, "", "answer"),
        (r#""code_parameter":"state""#, "", "code_parameter"),
        (r#""resources":["not a uri"]"#, "", "resources"),
        (
            r#""resources":["https://a.test"],"token_parameters":{"resource":"https://a.test"}"#,
            "",
            "resources",
        ),
        (
            r#""authorization_parameters":{"response_type":"token"}"#,
            "",
            "authorization_parameters",
        ),
        (
            r#""authorization_parameters":{"response_type":"code token"}"#,
            "",
            "authorization_parameters",
        ),
        (r#""token_parameters":{"state":"x"}"#, "", "token_parameters"),
        (r#""token_headers":{"x":"{state}"}"#, "", "token_headers"),
        (r#""token_query":{"x":"{random}"}"#, "", "token_query"),
        (
            r#""parameters":[{"name":"client_id","kind":"word"}]"#,
            "",
            "parameters",
        ),
        ("", r#""api_headers":{"Authorization":"x"}"#, "api_headers"),
        ("", r#""api_headers":{"Cookie":"x"}"#, "api_headers"),
        ("", r#""api_headers":{"Host":"x"}"#, "api_headers"),
        ("", r#""api_headers":{"proxy-authorization":"x"}"#, "api_headers"),
        ("", r#""api_headers":{"x y":"x"}"#, "api_headers"),
        ("", r#""api_headers":{"x":"a\nb"}"#, "api_headers"),
        ("", r#""api_headers":{"x":"{client_secret}"}"#, "api_headers"),
        (
            "",
            r#""token_header":{"name":"x-token","prefix":""},"api_headers":{"X-Token":"x"}"#,
            "api_headers",
        ),
        (r#""already_revoked":[404,500]"#, "", "already_revoked"),
        (r#""already_revoked":[200]"#, "", "already_revoked"),
        ("", r#""token_refused":[]"#, "token_refused"),
        ("", r#""token_refused":[401,200]"#, "token_refused"),
        ("", r#""token_refused":[500]"#, "token_refused"),
        ("", r#""api_query":{"access_token":"x"}"#, "api_query"),
        ("", r#""api_query":{"x":"{scope}"}"#, "api_query"),
        (
            r#""token_endpoint":"https://{x}.as.test/t","parameters":[{"name":"x","kind":"word","source":"discovery"}]"#,
            "",
            "token_endpoint",
        ),
        (
            "",
            r#""discovery":{"url":"https://as.test/x","values":{"y":"/id"}}"#,
            "discovery",
        ),
        (
            "",
            r#""scope_modes":{"parameter":"mode","scopes":{}}"#,
            "scope_modes",
        ),
    ] {
        let file: DescriptorFile = serde_json::from_str(&file(server, provider)).unwrap();
        let error = file.validate().unwrap_err();
        assert_eq!(error.field, field, "{error}");
        assert!(error.to_string().starts_with("\"acme\": "), "{error}");
    }
}

/// Each cause has a sentence of its own, which names what to look at.
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
            &["\"a b\"", "a name with other characters"],
        ),
        (
            rule(r#"{"name":"scope","kind":"word"}"#),
            "",
            "parameters",
            &["name that is taken"],
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
            &["one_of", "the browser brings", "alternative"],
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
            &["of a kind", "\"segment\""],
        ),
        (
            at("https://{shop}.as.test/t", text),
            "",
            "token_endpoint",
            &["of a kind", "\"word\""],
        ),
        (
            at("{shop}/t", shop),
            "",
            "token_endpoint",
            &["of a kind", "\"base_url\""],
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
            &["may not stand here"],
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
        // A value that is sent.
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
        // The rest.
        (
            r#""scope_separator":"%20""#.into(),
            "",
            "scope_separator",
            &["\",\"", "blank"],
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
            &["scheme", "cut off"],
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

/// Braces, dollars and bars that mean themselves are taken.
#[test]
fn braces_and_dollars_that_mean_themselves_are_accepted() {
    for (server, provider) in [
        (
            r#""authorization_parameters":{"claims":"{\"id_token\":{\"email\":null}}"}"#,
            "",
        ),
        (
            r#""authorization_parameters":{"a":"a | b","c":"$5","d":"urn:x:y","e":"a < b"}"#,
            "",
        ),
        (
            "",
            r#""account":{"url":"https://as.test/me?$select=id,mail","id":["/id"]}"#,
        ),
        (r#""token_endpoint":"https://as.test/models/a:verb""#, ""),
        (r#""token_endpoint":"https://as.test/a%20b""#, ""),
        (
            r#""token_endpoint":"https://{x}.as.test/t || https://as.test/t","parameters":[{"name":"x","kind":"word","optional":true}]"#,
            "",
        ),
        (
            r#""token_endpoint":"https://{x}.as.test/t","parameters":[{"name":"x","kind":"word","optional":true,"default":"eu"}]"#,
            "",
        ),
        (
            "",
            r#""api_base":"https://a.test/v1","api_hosts":[{"origin":"https://b.test"},{"origin":"https://a.test","path_prefix":"/v1"}]"#,
        ),
    ] {
        let text = file(server, provider);
        let file: DescriptorFile =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        file.validate().unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn all_mistakes_of_a_file_are_found_at_once() {
    let text = r#"{"servers":[
        {"id":"one","authorization_endpoint":"http://a.test/a","token_endpoint":"https://a.test/{x}","scope_separator":"a"},
        {"id":"two","authorization_endpoint":"https://a.test/a","token_endpoint":"https://a.test/t"},
        {"id":"two","authorization_endpoint":"https://a.test/a","token_endpoint":"https://a.test/t"},
        {"id":"google","authorization_endpoint":"https://a.test/a","token_endpoint":"https://a.test/t"},
        {"id":"my acme","authorization_endpoint":"https://a.test/a","token_endpoint":"https://a.test/t"}],
      "providers":[{"id":"p","server":"three","name":"P"},{"id":"gmail","server":"two","name":"P"}]}"#;
    let file: DescriptorFile = serde_json::from_str(text).unwrap();
    let mistakes = file.validate_all();
    let found: Vec<(&str, &str)> = mistakes
        .iter()
        .map(|mistake| (mistake.descriptor.as_str(), mistake.field))
        .collect();
    for expected in [
        ("one", "authorization_endpoint"),
        ("one", "token_endpoint"),
        ("one", "scope_separator"),
        ("two", "id"),
        ("google", "id"),
        ("my acme", "id"),
        ("p", "server"),
        ("gmail", "id"),
    ] {
        assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
    }
    assert_eq!(file.validate().as_ref().err(), mistakes.first());
}
