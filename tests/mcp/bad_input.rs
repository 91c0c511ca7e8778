//! Servers that do something wrong: the error says what, and nothing is stored.

use http::{StatusCode, header};
use serde_json::json;
use valetkey::Error;
use valetkey::connections::McpOptions;
use valetkey::error::McpError;
use valetkey::http::{HttpError, HttpResponse};
use valetkey::model::FailureCode;
use valetkey::testing::sandbox::Refusal;

use crate::host::{Host, SERVER, person, tenant};

const RESOURCE: &str = "https://mcp.sandbox.test/.well-known/oauth-protected-resource/mcp";
const METADATA: &str = "https://auth.sandbox.test/.well-known/oauth-authorization-server";
const REGISTER: &str = "https://auth.sandbox.test/register";

fn nothing_is_stored(host: &Host) {
    assert!(host.connections.added_providers(&tenant()).unwrap().is_empty());
    assert!(host.connections.added_clients(&tenant()).unwrap().is_empty());
}

/// Connects a host whose sandbox was changed. Returns the error.
fn refused(change: impl FnOnce(&Host)) -> Error {
    let host = Host::new();
    change(&host);
    let error = host.start(&person("alice")).unwrap_err();
    nothing_is_stored(&host);
    let said = format!("{error} {error:?}");
    assert!(!said.contains("m4rker"), "a server's words: {said}");
    error
}

fn wrong(change: impl FnOnce(&Host)) -> McpError {
    match refused(change) {
        Error::Mcp(error) => error,
        error => panic!("{error:?}"),
    }
}

fn edited(place: &'static str, name: &'static str, value: serde_json::Value) -> McpError {
    wrong(move |host| {
        host.sandbox
            .edit_document(place, move |document| document[name] = value.clone());
    })
}

#[test]
fn urls_that_are_not_those_of_a_server() {
    let host = Host::new();
    for url in [
        "",
        "mcp",
        "http://mcp.sandbox.test/mcp",
        "https://u:p@mcp.sandbox.test/mcp",
        "https://mcp.sandbox.test/mcp?a=b",
    ] {
        let error = host
            .connections
            .start_mcp(&person("alice"), url, McpOptions::default());
        assert!(
            matches!(error, Err(Error::Mcp(McpError::Url))),
            "{url}: {error:?}"
        );
    }
    assert_eq!(host.sandbox.log().len(), 0);
    let elsewhere = "https://mcp.sandbox.test/elsewhere";
    let error = host
        .connections
        .start_mcp(&person("alice"), elsewhere, McpOptions::default());
    assert!(
        matches!(error, Err(Error::Mcp(McpError::NotAnMcpServer))),
        "{error:?}"
    );
    nothing_is_stored(&host);
}

#[test]
fn a_server_without_authorization_needs_no_connection() {
    let error = wrong(|host| host.sandbox.adjust(|it| it.requires_token = false));
    assert_eq!(error, McpError::NoAuthorization);
}

#[test]
fn row_05_and_14_documents_that_contradict_themselves() {
    assert_eq!(
        wrong(|host| host.sandbox.hide(RESOURCE)),
        McpError::NoResourceMetadata
    );
    for (name, value, problem) in [
        (
            "resource",
            json!("https://evil.example/mcp"),
            McpError::OtherResource,
        ),
        ("resource", json!(1), McpError::ResourceMetadata),
        (
            "authorization_servers",
            json!([]),
            McpError::NoAuthorizationServer,
        ),
        (
            "authorization_servers",
            json!(["http://auth.sandbox.test"]),
            McpError::NoAuthorizationServer,
        ),
        (
            "authorization_servers",
            json!(["m4rker"]),
            McpError::NoAuthorizationServer,
        ),
    ] {
        assert_eq!(edited(RESOURCE, name, value), problem, "{name}");
    }
    for (name, value, problem) in [
        (
            "issuer",
            json!("https://auth.sandbox.test/"),
            McpError::OtherIssuer,
        ),
        ("issuer", json!("https://m4rker.example"), McpError::OtherIssuer),
        ("code_challenge_methods_supported", json!([]), McpError::NoPkce),
        (
            "code_challenge_methods_supported",
            json!(["plain"]),
            McpError::NoPkce,
        ),
        (
            "token_endpoint",
            json!("http://auth.sandbox.test/token"),
            McpError::Endpoint,
        ),
        (
            "token_endpoint",
            json!("https://evil.example/token"),
            McpError::EndpointElsewhere,
        ),
        (
            "authorization_endpoint",
            json!("javascript:alert(1)"),
            McpError::Endpoint,
        ),
        (
            "registration_endpoint",
            json!("https://evil.example/register"),
            McpError::EndpointElsewhere,
        ),
        (
            "token_endpoint_auth_methods_supported",
            json!(["tls_client_auth"]),
            McpError::ClientAuthentication,
        ),
        ("token_endpoint", json!(null), McpError::ServerMetadata),
    ] {
        assert_eq!(edited(METADATA, name, value), problem, "{name}");
    }
    let error = wrong(|host| {
        host.sandbox.hide(METADATA);
        host.sandbox
            .hide("https://auth.sandbox.test/.well-known/openid-configuration");
    });
    assert_eq!(error, McpError::NoServerMetadata);
}

#[test]
fn endpoints_on_other_sites_are_accepted_only_if_the_host_says_so() {
    let host = Host::new();
    host.sandbox.edit_document(METADATA, |document| {
        document["authorization_endpoint"] = "https://login.example/authorize".into();
    });
    let alice = person("alice");
    assert!(host.start(&alice).is_err());
    let options = McpOptions::default().endpoints_on_other_hosts();
    let consent = host.connections.start_mcp(&alice, SERVER, options).unwrap();
    assert_eq!(consent.authorization_url().host_str(), Some("login.example"));
}

#[test]
fn row_09_and_10_registrations_that_are_refused() {
    let error = wrong(|host| host.sandbox.adjust(|it| it.registers_clients = false));
    assert_eq!(error, McpError::RegistrationRequired);
    let error = wrong(|host| {
        host.sandbox
            .adjust(|it| it.registration_refusal = Some(Refusal::JsonWith(403)));
    });
    assert_eq!(error, McpError::RegistrationRefused);
    for (status, body, problem) in [
        (
            400,
            r#"{"error": "invalid_redirect_uri", "error_description": "m4rker"}"#,
            McpError::RedirectUriRefused,
        ),
        (201, r#"{"client_id": ""}"#, McpError::Registration),
        (201, "m4rker", McpError::Registration),
        (
            201,
            r#"{"client_id": "c", "token_endpoint_auth_method": "m4rker"}"#,
            McpError::ClientAuthentication,
        ),
    ] {
        let error = wrong(|host| {
            host.sandbox.answer_at(REGISTER, move |_| {
                Ok(HttpResponse::new(StatusCode::from_u16(status).unwrap(), body))
            });
        });
        assert_eq!(error, problem, "{body}");
    }
}

#[test]
fn row_31_documents_that_are_too_large_slow_or_redirecting() {
    for place in [SERVER, RESOURCE, METADATA, REGISTER] {
        let large = wrong(|host| {
            host.sandbox.answer_at(place, |mut answer| {
                answer.body = "x".repeat(70_000).into();
                Ok(answer)
            });
        });
        assert_eq!(large, McpError::TooLarge, "{place}");
        let redirected = wrong(|host| {
            host.sandbox.answer_at(place, |_| {
                let there = http::HeaderValue::from_static("https://m4rker.example/");
                Ok(HttpResponse::new(StatusCode::FOUND, "").with_header(header::LOCATION, there))
            });
        });
        assert_eq!(redirected, McpError::Redirected, "{place}");
        let private = wrong(|host| host.sandbox.answer_at(place, |_| Err(HttpError::PrivateAddress)));
        assert_eq!(private, McpError::PrivateAddress, "{place}");
        for (error, failure) in [
            (HttpError::Timeout, FailureCode::TimedOut),
            (HttpError::Interrupted, FailureCode::Interrupted),
            (HttpError::Connect, FailureCode::Unreachable),
        ] {
            let found = refused(|host| host.sandbox.answer_at(place, move |_| Err(error)));
            assert!(found.is_retryable(), "{place}: {found:?}");
            assert!(matches!(found, Error::Unavailable { failure: code, .. } if code == failure));
        }
    }
}

#[test]
fn row_31_addresses_that_a_server_names_are_public_ones() {
    for place in [
        "http://127.0.0.1/metadata",
        "https://127.0.0.1/metadata",
        "https://10.0.0.1/metadata",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/metadata",
        "https://localhost/metadata",
        "https://metadata.internal/",
    ] {
        let error = wrong(|host| {
            host.sandbox.answer_at(SERVER, move |answer| {
                let value = format!("Bearer resource_metadata=\"{place}\"").parse().unwrap();
                Ok(HttpResponse::new(answer.status, "").with_header(header::WWW_AUTHENTICATE, value))
            });
        });
        assert!(
            matches!(
                error,
                McpError::PrivateAddress | McpError::Endpoint | McpError::NoResourceMetadata
            ),
            "{place}: {error:?}"
        );
    }
    let error = edited(RESOURCE, "authorization_servers", json!(["https://10.1.2.3"]));
    assert_eq!(error, McpError::PrivateAddress);
}

#[test]
fn a_host_that_describes_no_client_is_told_so() {
    let host = Host::new();
    let connections = valetkey::Connections::builder(std::sync::Arc::clone(&host.vault))
        .http_client(host.sandbox.clone())
        .clock(host.clock.clone())
        .build()
        .unwrap();
    let error = connections.start_mcp(&person("alice"), SERVER, McpOptions::default());
    assert!(
        matches!(error, Err(Error::Mcp(McpError::NoClientDescription))),
        "{error:?}"
    );
    nothing_is_stored(&host);
}
