use super::*;

fn gitlab() -> AuthorizationServer {
    let mut server = AuthorizationServer::new(
        ServerId::new("gitlab").unwrap(),
        "{base_url}/oauth/authorize",
        "{base_url}/oauth/token",
    );
    server.revocation = Revocation::ByUser {
        url: "{base_url}/profile".into(),
    };
    server
}

#[test]
fn codes_and_refresh_tokens_go_to_the_token_endpoint_unless_the_server_says_otherwise() {
    let parameters = Parameters::from([("base_url".into(), "https://git.example/lab".into())]);
    let mut server = gitlab();
    let endpoints = server.endpoints(&parameters).unwrap();
    assert_eq!(
        endpoints.authorization.as_str(),
        "https://git.example/lab/oauth/authorize"
    );
    assert_eq!(endpoints.token, endpoints.refresh);
    assert_eq!(endpoints.revocation, None);
    let page = server.revocation_page(&parameters).unwrap();
    assert_eq!(page.as_str(), "https://git.example/lab/profile");

    server.refresh_endpoint = Some("{base_url}/oauth/refresh".into());
    let endpoints = server.endpoints(&parameters).unwrap();
    assert_eq!(endpoints.token.path(), "/lab/oauth/token");
    assert_eq!(endpoints.refresh.path(), "/lab/oauth/refresh");
    assert_eq!(
        server.endpoints(&Parameters::new()),
        Err(InvalidTemplate::Missing("base_url".into()))
    );
}

#[cfg(feature = "serde")]
#[test]
fn a_silent_file_means_the_defaults_and_durations_are_seconds() {
    let text = r#"{"id":"acme","authorization_endpoint":"https://a.example/a",
        "token_endpoint":"https://a.example/t","refresh_token_idle":7776000,"rotation":{"grace":60}}"#;
    let server: AuthorizationServer = serde_json::from_str(text).unwrap();
    let mut expected = AuthorizationServer::new(
        ServerId::new("acme").unwrap(),
        "https://a.example/a",
        "https://a.example/t",
    );
    expected.refresh_token_idle = Some(Duration::from_secs(7_776_000));
    expected.rotation = RotationClass::Grace(Duration::from_secs(60));
    assert_eq!(server, expected);
    let text = serde_json::to_string(&server).unwrap();
    assert_eq!(
        serde_json::from_str::<AuthorizationServer>(&text).unwrap(),
        expected
    );
}
