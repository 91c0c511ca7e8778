//! Deviations in requests to a server and in its answers: consents, codes, tokens, refreshes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use valetkey::provider::DescriptorFile;
use valetkey::{ConsentOptions, Error, Resolver};

use super::walk::{PLAIN, Walk, file, pairs};
use crate::support::world::REDIRECT;

#[test]
fn parameters_bear_the_servers_names_or_are_left_out() {
    let file = file(
        r#""authorization_renames":{"client_id":"client_key","response_type":""},
           "token_renames":{"client_id":"app_id","client_secret":"secret","code":"auth_code","grant_type":""}"#,
        "",
    );
    let walk = Walk::new(&file, |_| PLAIN.into());
    let (url, consent) = walk.start(ConsentOptions::default());
    let query = pairs(&url);
    assert_eq!(query["client_key"], "the-client");
    assert!(!query.contains_key("client_id") && !query.contains_key("response_type"));
    walk.complete(&consent, "code=c").unwrap();
    let form = walk.seen(0).form;
    let names: Vec<&str> = form.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["app_id", "auth_code", "code_verifier", "redirect_uri", "secret"]
    );
}

#[test]
fn an_answer_in_an_envelope_with_milliseconds_and_a_flag() {
    let file = file(
        r#""answer":{"envelope":"/data","access_token":"/data/token/value","expiry":"milliseconds",
             "success":{"pointer":"/code","values":["0","0000"]}}"#,
        "",
    );
    let refused = Arc::new(Mutex::new(false));
    let switch = Arc::clone(&refused);
    let walk = Walk::new(&file, move |_| {
        if *switch.lock().unwrap() {
            r#"{"code":40001,"data":{"token":{"value":"at-x"}}}"#.into()
        } else {
            r#"{"code":0,"data":{"token":{"value":"at-1"},"expires_in":7200000,"refresh_token":"rt-1"}}"#
                .into()
        }
    });
    let connection = walk.connect("code=c");
    let lifetime = connection
        .expires_at
        .unwrap()
        .saturating_since(connection.refreshed_at);
    assert_eq!(lifetime, Duration::from_secs(7200));
    assert!(connection.refreshable);
    *refused.lock().unwrap() = true;
    assert!(
        walk.connections.refresh(&walk.alice, connection.id).is_err(),
        "a refusal with status 200"
    );
}

#[test]
fn an_expiry_may_be_a_time_and_another_token_type_may_be_allowed() {
    // 2026-11-22T17:00:00Z: an hour after the answer's own date.
    for (unit, value) in [
        ("unix_seconds", "1795366800"),
        ("unix_milliseconds", "\"1795366800000\""),
        ("rfc3339", "\"2026-11-22T17:00:00Z\""),
        ("rfc3339", "\"2026-11-22T18:30:00.25+01:30\""),
    ] {
        let file = file(
            &format!(r#""answer":{{"expires":"/ends","expiry":"{unit}","any_token_type":true}}"#),
            "",
        );
        let answer = format!(r#"{{"access_token":"a","token_type":"user","ends":{value}}}"#);
        let walk = Walk::new(&file, move |_| answer.clone());
        let connection = walk.connect("code=c");
        let lifetime = connection
            .expires_at
            .map(|end| end.saturating_since(connection.refreshed_at));
        assert_eq!(lifetime, Some(Duration::from_secs(3600)), "{unit}");
    }
}

/// The descriptor names the member, so an unreadable value does not count as absent: the token
/// would be used forever.
#[test]
fn an_expiry_that_cannot_be_read_is_a_short_one() {
    let short = Some(Duration::from_secs(300));
    let default = Some(Duration::from_secs(1800));
    for (unit, value, without_default, with_default) in [
        ("rfc3339", "\"tomorrow\"", short, default),
        ("rfc3339", "\"2026-11-22T17:00:00\"", short, default),
        ("rfc3339", "1795366800", short, default),
        // It is in the past, by the answer's own date.
        ("rfc3339", "\"2026-11-22T15:00:00Z\"", short, default),
        ("unix_seconds", "\"2026-11-22T17:00:00Z\"", short, default),
        ("unix_seconds", "1", short, default),
        ("seconds", "\"2026-11-22T17:00:00Z\"", short, default),
        ("seconds", "1795366800000", short, default),
        ("seconds", "true", short, default),
        ("milliseconds", "[1]", short, default),
        ("seconds", "null", None, default),
        ("rfc3339", "null", None, default),
        ("rfc3339", "\"\"", None, default),
        ("seconds", "0", None, default),
        ("seconds", "-1", None, default),
    ] {
        for (more, expected) in [
            ("", without_default),
            (r#","default_expires_in":1800"#, with_default),
        ] {
            let file = file(
                &format!(r#""answer":{{"expires":"/ends","expiry":"{unit}"}}{more}"#),
                "",
            );
            let answer =
                format!(r#"{{"access_token":"a","token_type":"bearer","refresh_token":"r","ends":{value}}}"#);
            let walk = Walk::new(&file, move |_| answer.clone());
            let connection = walk.connect("code=c");
            let lifetime = connection
                .expires_at
                .map(|end| end.saturating_since(connection.refreshed_at));
            assert_eq!(lifetime, expected, "{unit} {value} {more}");
            assert!(connection.refreshable, "{unit} {value}");
        }
    }
}

#[test]
fn values_of_callback_and_answer_fill_urls() {
    let file = file(
        r#""token_endpoint":"https://{dc}.as.test/token || https://as.test/token",
           "parameters":[
             {"name":"dc","kind":{"one_of":["eu","us"]},"source":{"callback":"location"},"optional":true},
             {"name":"realm","kind":"segment","source":{"callback":"realmId"}},
             {"name":"instance","kind":"base_url","source":{"token_answer":"/instance_url"}}]"#,
        r#""api_base":"{instance}/v1/{realm}","api_hosts":[{"origin":"{instance}"}]"#,
    );
    let walk = Walk::new(&file, |_| {
        r#"{"access_token":"at-1","token_type":"Bearer","refresh_token":"rt","expires_in":3600,"instance_url":"https://na1.acme.test"}"#.into()
    });
    let connection = walk.connect("code=c&location=eu&realmId=r_42");
    assert_eq!(walk.seen(0).url.as_str(), "https://eu.as.test/token");
    assert_eq!(connection.parameters["realm"], "r_42");
    let resolver = Resolver::new(walk.connections.clone());
    let request = http::Request::get("/things").body(Vec::new()).unwrap();
    resolver.send(&walk.alice, "acme", request).unwrap();
    assert_eq!(walk.seen(1).url.as_str(), "https://na1.acme.test/v1/r_42/things");
    // The refresh is sent to the server that issued the tokens.
    walk.clock.advance(Duration::from_secs(4000));
    resolver.resolve(&walk.alice, "acme").unwrap();
    assert_eq!(walk.seen(2).url.as_str(), "https://eu.as.test/token");
    assert_eq!(walk.seen(2).method, Method::POST);

    let (_, consent) = walk.start(ConsentOptions::default());
    let error = walk
        .complete(&consent, "code=c&location=evil.test&realmId=r")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the parameter \"dc\" does not have an allowed value; see its rule in the descriptor"
    );
    // The callback was rejected before the code was sent: the genuine callback still works.
    walk.complete(&consent, "code=c&realmId=r").unwrap();
}

#[test]
fn the_browser_never_chooses_a_host() {
    for (parameter, endpoint) in [
        (
            r#"{"name":"x","kind":"word","source":{"callback":"x"}}"#,
            "https://{x}/t || https://as.test/t",
        ),
        (
            r#"{"name":"x","kind":"base_url","source":{"callback":"x"}}"#,
            "{x}/t || https://as.test/t",
        ),
        (
            r#"{"name":"x","kind":"host","source":{"callback":"x"}}"#,
            "https://{x}/t || https://as.test/t",
        ),
        (
            r#"{"name":"x","kind":"word","source":{"callback":"x"}}"#,
            "https://{x}.as.test/t || https://as.test/t",
        ),
    ] {
        let text = file(
            &format!(r#""token_endpoint":"{endpoint}","parameters":[{parameter}]"#),
            "",
        );
        let file: DescriptorFile = serde_json::from_str(&text).unwrap();
        assert!(file.validate().is_err(), "{endpoint}");
    }
}

#[test]
fn a_code_by_another_name_and_headers_and_a_query_of_the_servers_own() {
    let file = file(
        r#""code_parameter":"spapi_oauth_code","token_headers":{"x-client":"{client_id}","x-nonce":"{random}"},
           "token_query":{"redirect_uri":"{redirect_uri}"},"resources":["https://api.acme.test/mcp"],
           "token_parameters":{"tenant":"{tenant}","echo":"{state}"},"authorization_parameters":{"tenant":"t-{tenant}"},
           "parameters":[{"name":"tenant","kind":"text","default":"my team"}]"#,
        "",
    );
    let walk = Walk::new(&file, |_| PLAIN.into());
    let (url, consent) = walk.start(ConsentOptions::default());
    assert_eq!(pairs(&url)["tenant"], "t-my team");
    assert_eq!(pairs(&url)["resource"], "https://api.acme.test/mcp");
    let error = walk.complete(&consent, "other=c").unwrap_err();
    assert!(
        matches!(error, Error::InvalidValue(error) if error.rule() == "callback_missing_code"),
        "{error}"
    );
    let connection = walk.complete(&consent, "spapi_oauth_code=the-code").unwrap();
    let exchange = walk.seen(0);
    assert_eq!(exchange.form["code"], "the-code");
    assert_eq!(exchange.form["tenant"], "my team");
    assert_eq!(exchange.form["echo"], pairs(&url)["state"]);
    assert_eq!(exchange.form["resource"], "https://api.acme.test/mcp");
    assert_eq!(exchange.headers["x-client"], "the-client");
    assert_eq!(exchange.headers["x-nonce"].len(), 43);
    assert_eq!(pairs(&exchange.url)["redirect_uri"], REDIRECT);
    walk.connections.refresh(&walk.alice, connection.id).unwrap();
    assert_eq!(walk.seen(1).form["resource"], "https://api.acme.test/mcp");
}

#[test]
fn a_single_page_consent_and_raw_scopes() {
    let file = file(
        r#""authorization_fragment":"/oauth/authorize","raw_scope":true"#,
        r#""default_scopes":["a:b","c/d"]"#,
    );
    let walk = Walk::new(&file, |_| PLAIN.into());
    let (url, _) = walk.start(ConsentOptions::default());
    let text = url.as_str();
    assert!(
        text.starts_with("https://as.test/authorize#/oauth/authorize?"),
        "{text}"
    );
    assert!(text.ends_with("&scope=a:b%20c/d"), "{text}");
    assert_eq!(url.query(), None);
}

#[test]
fn an_access_token_that_renews_itself_and_json_bodies() {
    let file = file(
        r#""refresh_with":"access_token","refresh_grant_type":"fb_exchange_token","body_format":"json",
           "token_renames":{"refresh_token":"fb_exchange_token"}"#,
        "",
    );
    let walk = Walk::new(&file, |_| r#"{"access_token":"at-1","expires_in":3600}"#.into());
    let connection = walk.connect("code=c");
    walk.connections.refresh(&walk.alice, connection.id).unwrap();
    let body: BTreeMap<String, String> = serde_json::from_str(&walk.seen(1).body).unwrap();
    assert_eq!(body["fb_exchange_token"], "at-1");
    assert_eq!(body["grant_type"], "fb_exchange_token");
    assert!(!body.contains_key("refresh_token"));
}

#[test]
fn a_secret_as_user_name_another_token_header_and_a_default_lifetime() {
    let file = file(
        r#""client_authentication":"secret_as_user","default_expires_in":1800"#,
        r#""api_base":"https://api.test/v1","api_hosts":[{"origin":"https://api.test"}],
           "token_header":{"name":"x-acme-access-token","prefix":""}"#,
    );
    let walk = Walk::new(&file, |_| r#"{"access_token":"at-1"}"#.into());
    let connection = walk.connect("code=c");
    // base64 of "the-secret:".
    assert_eq!(walk.seen(0).headers["authorization"], "Basic dGhlLXNlY3JldDo=");
    let lifetime = connection
        .expires_at
        .unwrap()
        .saturating_since(connection.refreshed_at);
    assert_eq!(lifetime, Duration::from_secs(1800));
    let request = http::Request::get("/x").body(Vec::new()).unwrap();
    Resolver::new(walk.connections.clone())
        .send(&walk.alice, "acme", request)
        .unwrap();
    assert_eq!(walk.seen(1).headers["x-acme-access-token"], "at-1");
}

#[test]
fn typed_parameters_with_pattern_prefix_suffix_and_alternatives() {
    let file = file(
        r#""token_endpoint":"https://{shop}.acme.test/token",
           "parameters":[{"name":"shop","kind":"word","prefix":"https://","suffix":".acme.test","pattern":"^[a-z][a-z0-9-]{1,20}$"}]"#,
        "",
    );
    let walk = Walk::new(&file, |_| PLAIN.into());
    for (given, taken) in [
        ("corner-shop", Some("corner-shop")),
        ("https://corner-shop.acme.test", Some("corner-shop")),
        ("Corner", None),
        ("x", None),
        ("corner.evil", None),
    ] {
        let started = walk.connections.start(
            &walk.alice,
            "acme",
            ConsentOptions::default().parameter("shop", given),
        );
        match taken {
            Some(shop) => {
                walk.complete(&started.unwrap(), "code=c").unwrap();
                let last = walk.log.lock().unwrap().last().unwrap().clone();
                assert_eq!(last.url.as_str(), format!("https://{shop}.acme.test/token"));
            }
            None => assert!(started.unwrap_err().to_string().contains("shop"), "{given}"),
        }
    }
}

/// A refresh without an access token fails, unless the descriptor says that the old token remains
/// valid.
#[test]
fn only_where_the_descriptor_says_so_the_old_token_lives_on() {
    for (says, answer, taken) in [
        (r#""answer":{"refresh_without_token":true},"#, "{}", true),
        (
            r#""answer":{"refresh_without_token":true},"#,
            r#"{"error":"server_error"}"#,
            false,
        ),
        ("", "{}", false),
    ] {
        let file = file(&format!(r#"{says}"default_expires_in":600"#), "");
        let walk = Walk::new(&file, move |seen| {
            let first = seen.form.contains_key("code");
            if first { PLAIN.into() } else { answer.into() }
        });
        let connection = walk.connect("code=c");
        walk.clock.advance(Duration::from_secs(3601));
        let token = Resolver::new(walk.connections.clone()).resolve(&walk.alice, "acme");
        assert_eq!(token.is_ok(), taken, "{says}");
        if let Ok(token) = token {
            assert_eq!(token.access_token().expose_secret(), "at-1");
            let renewed = walk.connections.get(&walk.alice, connection.id).unwrap();
            let lifetime = renewed.expires_at.unwrap().saturating_since(renewed.refreshed_at);
            assert_eq!(
                lifetime,
                Duration::from_secs(3600),
                "what the server named last counts"
            );
        }
    }
}

/// A value of the connection is text: a placeholder in it is sent literally.
#[test]
fn a_value_of_a_connection_is_not_a_template() {
    let file = file(
        r#""parameters":[{"name":"team","kind":"text"},{"name":"said","kind":"text","source":{"token_answer":"/said"},"optional":true}],
           "authorization_parameters":{"team":"{team}","both":"{team} {client_id}"},
           "token_parameters":{"team":"{team}"},"refresh_parameters":{"team":"{team}","said":"{said}"},
           "token_query":{"team":"{team}"},"token_headers":{"x-team":"{team}"}"#,
        r#""api_base":"https://api.test","api_headers":{"x-team":"{team}"},"api_query":{"team":"{team}"}"#,
    );
    for value in [
        "{state}",
        "{redirect_uri}",
        "{client_id}",
        "{random}",
        "{scope}",
        "{team}",
        "{said} || {team}",
        "a {b",
    ] {
        let walk = Walk::new(&file, |_| {
            r#"{"access_token":"at-1","token_type":"bearer","expires_in":60,"refresh_token":"rt-1","said":"{redirect_uri}"}"#.into()
        });
        let (url, consent) = walk.start(ConsentOptions::default().parameter("team", value));
        assert_eq!(pairs(&url)["team"], value);
        assert_eq!(pairs(&url)["both"], format!("{value} the-client"));
        walk.complete(&consent, "code=c").unwrap();
        walk.clock.advance(Duration::from_secs(61));
        let request = http::Request::get("/x").body(Vec::new()).unwrap();
        Resolver::new(walk.connections.clone())
            .send(&walk.alice, "acme", request)
            .unwrap();
        let log = walk.log.lock().unwrap().clone();
        for seen in &log {
            assert_eq!(seen.headers["x-team"], value, "{}", seen.url);
            assert_eq!(pairs(&seen.url)["team"], value, "{}", seen.url);
            let form = seen.form.get("team").map(String::as_str);
            assert!(
                seen.form.is_empty() || form == Some(value),
                "{} {form:?}",
                seen.url
            );
        }
        let refresh = log.iter().find(|seen| seen.form.contains_key("said")).unwrap();
        assert_eq!(refresh.form["said"], "{redirect_uri}");
    }
}
