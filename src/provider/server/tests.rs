use super::*;

#[test]
fn a_silent_file_means_the_defaults_and_durations_are_seconds() {
    let text = r#"{"id":"acme","authorization_endpoint":"https://a.example/a",
        "token_endpoint":"https://a.example/t","refresh_token_idle":7776000,"rotation":{"grace":60}}"#;
    let server: ServerDescriptor = serde_json::from_str(text).unwrap();
    let mut expected = ServerDescriptor::new(
        ServerId::new("acme").unwrap(),
        "https://a.example/a",
        "https://a.example/t",
    );
    expected.refresh_token_idle = Some(Duration::from_secs(7_776_000));
    expected.rotation = RotationClass::Grace(Duration::from_secs(60));
    assert_eq!(server, expected);
    let text = serde_json::to_string(&server).unwrap();
    assert_eq!(serde_json::from_str::<ServerDescriptor>(&text).unwrap(), expected);
}
