//! Each mistake in a file is named.

mod sentences;

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

/// Literal braces, dollars and bars are accepted.
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
