use super::*;

#[test]
fn a_url_a_path_and_a_query_give_the_same() {
    for callback in [
        "https://app.test/cb?code=c%2F1&state=s%26t&scope=a+b&authuser=0&hd=x",
        "http://127.0.0.1:8080/cb?code=c%2F1&state=s%26t#",
        "https://app.test/cb?x=1&code=c%2F1&state=s%26t",
        "app:/cb?code=c%2F1&state=s%26t",
        "/cb?code=c%2F1&state=s%26t",
        "?code=c%2F1&state=s%26t",
        "code=c%2F1&state=s%26t&session_state=q",
        "  state=s%26t&code=c%2F1&error=\n",
        "state=s%26t&code=c/1&return_to=https://evil.test/?a=b",
    ] {
        let response = AuthorizationResponse::parse(callback).expect(callback);
        assert_eq!(response.state().expose_secret(), "s&t", "{callback}");
        let Outcome::Code(code) = response.into_state_and_outcome().1 else {
            panic!("{callback}");
        };
        assert_eq!(code.expose_secret(), "c/1", "{callback}");
    }
}

#[test]
fn what_is_missing_or_comes_twice_is_refused() {
    use Rule::{
        CallbackMalformed as Malformed, CallbackTooLong as TooLong, DuplicateParameter, MissingCode,
        MissingState,
    };
    let long = format!("code={}&state=s", "c".repeat(MAX_LEN));
    for (callback, error) in [
        ("code=a&code=b&state=s", DuplicateParameter("code")),
        ("code=a&state=s&state=s", DuplicateParameter("state")),
        ("code=a&state=s&iss=x&iss=x", DuplicateParameter("iss")),
        ("error=a&error=b&state=s", DuplicateParameter("error")),
        ("code=a&c%6Fde=b&state=s", DuplicateParameter("code")),
        ("code=a", MissingState),
        ("code=a&state=", MissingState),
        ("error=access_denied", MissingState),
        ("state=s", MissingCode),
        ("state=s&code=", MissingCode),
        ("state=s&code=a&error=access_denied", Malformed),
        ("https://app.test/cb", Malformed),
        ("https://app.test/cb#code=a&state=s", Malformed),
        ("", Malformed),
        (&long, TooLong),
    ] {
        assert_eq!(
            AuthorizationResponse::parse(callback).unwrap_err(),
            InvalidValue::from(error),
            "{callback:.60}"
        );
    }
}

#[test]
fn pasted_callbacks_are_read_and_ambiguous_ones_are_refused() {
    for pasted in [
        "<https://app.test/cb?state=s&code=c&iss=https://as.test>",
        "\"https://app.test/cb?state=s&code=c&iss=https://as.test\"",
        "https://app.test/cb?state=s&code=c&iss=https://as.test\u{200b}",
        "https://app.test/cb?state=s&amp;code=c&amp;iss=https://as.test",
        "https://app.test/cb?sta\r\n  te=s&code=c&iss=https://as.test",
        "GET /cb?state=s&code=c&iss=https://as.test HTTP/1.1",
    ] {
        let response = AuthorizationResponse::parse(pasted).expect(pasted);
        assert_eq!(response.state().expose_secret(), "s", "{pasted}");
        assert_eq!(response.issuer.as_deref(), Some("https://as.test"), "{pasted}");
    }
    for pasted in ["code=c&state=s thanks", "see https://app.test/cb?code=c&state=s"] {
        let refused = AuthorizationResponse::parse(pasted).unwrap_err();
        assert_eq!(refused.rule(), "callback_malformed", "{pasted}");
    }
}

#[test]
fn a_renamed_code_comes_once() {
    let mut server = crate::provider::catalog::google();
    server.code_parameter = Some("auth_code".into());
    let with_code = |callback| {
        AuthorizationResponse::parse(callback)
            .unwrap()
            .with_code_of(&server)
    };
    for (callback, error) in [
        (
            "auth_code=a&auth_code=b&state=s",
            Rule::DuplicateParameter("code"),
        ),
        (
            "auth_code=a&auth_code=a&state=s",
            Rule::DuplicateParameter("code"),
        ),
        ("code=a&state=s", Rule::MissingCode),
        ("other=a&state=s", Rule::MissingCode),
    ] {
        assert_eq!(with_code(callback).unwrap_err(), error.into(), "{callback}");
    }
    let Outcome::Code(code) = with_code("code=x&auth_code=a&state=s")
        .unwrap()
        .into_state_and_outcome()
        .1
    else {
        panic!("there is a code");
    };
    assert_eq!(code.expose_secret(), "a");
}

#[test]
fn a_bounded_number_of_other_parameters_is_kept() {
    let many: String = (0..MAX_OTHERS + 8)
        .map(|number| format!("&p{number}=v"))
        .collect();
    let response = AuthorizationResponse::parse(&format!("code=c&state=s{many}")).unwrap();
    assert_eq!(response.others.len(), MAX_OTHERS);
    assert_eq!(response.other("p31"), Some("v"));
    assert_eq!(response.other("p32"), None);
    // The protocol's own parameters are read at any position.
    let response = AuthorizationResponse::parse(&format!("{}&code=c&state=s", &many[1..])).unwrap();
    assert_eq!(response.state().expose_secret(), "s");
}

#[test]
fn a_code_of_two_kilobytes_is_no_surprise() {
    let callback = format!("state=s&code={}", "c".repeat(2048));
    assert!(AuthorizationResponse::parse(&callback).is_ok());
}

#[test]
fn error_codes_are_closed_and_free_text_is_dropped() {
    use AuthorizationError as E;
    for (code, expected, retryable) in [
        ("access_denied", E::AccessDenied, false),
        ("invalid_request", E::InvalidRequest, false),
        ("unauthorized_client", E::UnauthorizedClient, false),
        ("unsupported_response_type", E::UnsupportedResponseType, false),
        ("invalid_scope", E::InvalidScope, false),
        ("server_error", E::ServerError, true),
        ("temporarily_unavailable", E::TemporarilyUnavailable, true),
        ("consent_required", E::ConsentRequired, false),
        ("login_required", E::LoginRequired, false),
        ("interaction_required", E::InteractionRequired, false),
        ("invalid_target", E::InvalidTarget, false),
        ("m4rker%1B[31m", E::Other, false),
    ] {
        let callback = format!("state=s&error={code}&error_description=m4rker&error_uri=https://m4rker");
        let response = AuthorizationResponse::parse(&callback).unwrap();
        assert!(!format!("{response:?}").contains("m4rker"));
        let Outcome::Error(error) = response.into_state_and_outcome().1 else {
            panic!("{code}");
        };
        assert_eq!((error, error.is_retryable()), (expected, retryable), "{code}");
        assert!(!error.to_string().contains("m4rker"));
    }
}

#[test]
fn debug_shows_neither_code_nor_state_nor_issuer() {
    let response = AuthorizationResponse::parse("code=m4rker&state=m4rker&iss=m4rker").unwrap();
    assert!(!format!("{response:?}").contains("m4rker"));
}

#[test]
fn issuers_by_policy() {
    use IssuerPolicy::{IfKnown, Ignored, MatchIfPresent, Required};
    let expected = Some("https://as");
    for (policy, expected, issuer, with_code, with_error) in [
        (Required, expected, Some("https://as"), true, true),
        (Required, expected, Some("https://as/"), false, false),
        (Required, expected, None, false, true),
        (Required, None, Some("https://as"), false, false),
        (MatchIfPresent, expected, Some("https://as"), true, true),
        (MatchIfPresent, expected, Some("https://AS"), false, false),
        (MatchIfPresent, expected, Some("https://as:443"), false, false),
        (MatchIfPresent, expected, Some(""), false, false),
        (MatchIfPresent, expected, None, true, true),
        (MatchIfPresent, None, Some("https://as"), false, false),
        (IfKnown, None, Some("https://as"), true, true),
        (IfKnown, expected, Some("https://as"), true, true),
        (IfKnown, expected, Some("https://AS"), false, false),
        (IfKnown, expected, None, true, true),
        (Ignored, expected, Some("https://evil"), true, true),
    ] {
        for (outcome, ok) in [("code=c", with_code), ("error=access_denied", with_error)] {
            let issuer = issuer.map(|issuer| format!("&iss={issuer}")).unwrap_or_default();
            let response = AuthorizationResponse::parse(&format!("{outcome}&state=s{issuer}")).unwrap();
            let checked = check_issuer(policy, expected, &response);
            assert_eq!(checked.is_ok(), ok, "{policy:?} {expected:?} {issuer} {outcome}");
        }
    }
    let response = AuthorizationResponse::parse("code=c&state=s&iss=https%3A%2F%2Fas%252F").unwrap();
    assert_eq!(response.issuer.as_deref(), Some("https://as%2F"));
}
