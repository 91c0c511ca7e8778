//! The sandbox's handling of refresh tokens, by rotation class.

use super::*;

#[test]
fn a_replayed_code_ends_the_grant() {
    let client = Client::new();
    let code = client.code("ada");
    let first = tokens(&client.exchange(&code));
    assert!(client.sandbox.is_live(&first.access) && client.sandbox.is_live(&first.refresh));
    assert_eq!(error(&client.exchange(&code)), refused(400, "invalid_grant"));
    assert!(!client.sandbox.is_live(&first.access) && !client.sandbox.is_live(&first.refresh));
    assert_eq!(client.get("/userinfo", &first.access).status, 401);
}

#[test]
fn static_refresh_tokens_stay() {
    let client = Client::with_rotation(RotationClass::Static);
    let first = client.tokens("ada");
    for (echo, expected) in [
        (RefreshTokenEcho::Omit, Value::Null),
        (RefreshTokenEcho::Repeat, first.refresh.as_str().into()),
        (RefreshTokenEcho::Empty, "".into()),
    ] {
        client.sandbox.adjust(|it| it.static_refresh_token = echo);
        let answer = json(&client.refresh(&first.refresh));
        assert_eq!(answer["refresh_token"], expected);
        assert_ne!(answer["access_token"], first.access.as_str());
    }
}

#[test]
fn rotated_refresh_tokens_may_stay_valid() {
    let client = Client::with_rotation(RotationClass::OldStaysValid);
    let first = client.tokens("ada");
    let second = client.refreshed(&first.refresh);
    assert_ne!(second.refresh, first.refresh);
    assert!(client.sandbox.is_live(&first.refresh) && client.sandbox.is_live(&second.refresh));
}

#[test]
fn a_grace_period_ends_by_the_clock() {
    let client = Client::with_rotation(RotationClass::Grace(Duration::from_secs(30)));
    let first = client.tokens("ada");
    let second = client.refreshed(&first.refresh);
    client.clock.advance(Duration::from_secs(29));
    let third = client.refreshed(&first.refresh);
    client.clock.advance(Duration::from_secs(1));
    assert_eq!(
        error(&client.refresh(&first.refresh)),
        refused(400, "invalid_grant")
    );
    assert!(client.sandbox.is_live(&second.refresh) && client.sandbox.is_live(&third.refresh));
}

#[test]
fn a_single_use_token_is_refused_the_second_time() {
    let client = Client::with_rotation(RotationClass::SingleUse);
    let first = client.tokens("ada");
    let second = client.refreshed(&first.refresh);
    assert_eq!(
        error(&client.refresh(&first.refresh)),
        refused(400, "invalid_grant")
    );
    assert!(client.sandbox.is_live(&second.refresh));
    let _third = client.refreshed(&second.refresh);
}

#[test]
fn a_replay_may_kill_the_whole_family() {
    let client = Client::with_rotation(RotationClass::SingleUseRevokesFamily);
    let first = client.tokens("ada");
    let second = client.refreshed(&first.refresh);
    assert_eq!(
        error(&client.refresh(&first.refresh)),
        refused(400, "invalid_grant")
    );
    assert!(!client.sandbox.is_live(&second.refresh) && !client.sandbox.is_live(&second.access));
    assert!(client.sandbox.live_grants().is_empty());
}

#[test]
fn access_tokens_expire_stay_the_same_or_die_at_refresh() {
    let client = Client::with_rotation(RotationClass::Static);
    let first = client.tokens("ada");
    client.clock.advance(Duration::from_secs(3599));
    assert_eq!(client.get("/userinfo", &first.access).status, 200);
    client.clock.advance(Duration::from_secs(1));
    let expired = client.get("/userinfo", &first.access);
    assert_eq!(expired.status, 401);
    assert!(
        expired.headers[header::WWW_AUTHENTICATE]
            .to_str()
            .unwrap()
            .contains("invalid_token")
    );

    client.sandbox.adjust(|it| it.repeats_access_token = true);
    assert_eq!(client.refreshed(&first.refresh).access, first.access);
    assert_eq!(client.get("/userinfo", &first.access).status, 200);

    client.sandbox.adjust(|it| {
        it.repeats_access_token = false;
        it.refresh_kills_old_access_token = true;
    });
    let second = client.refreshed(&first.refresh);
    assert!(!client.sandbox.is_live(&first.access) && client.sandbox.is_live(&second.access));

    client.sandbox.expire_access_tokens();
    assert_eq!(client.get("/userinfo", &second.access).status, 401);
    assert!(client.sandbox.is_live(&first.refresh));
}

#[test]
fn a_scope_at_refresh_narrows_for_good_and_never_widens() {
    let client = Client::with_rotation(RotationClass::Static);
    let first = client.tokens("ada");
    let narrow = |scope: &str| {
        client.post(
            "/token",
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", &first.refresh),
                ("scope", scope),
            ],
        )
    };
    assert_eq!(json(&narrow("notes.read"))["scope"], "notes.read");
    assert_eq!(json(&client.refresh(&first.refresh))["scope"], "notes.read");
    assert_eq!(error(&narrow("notes.write")), refused(400, "invalid_scope"));
}

#[test]
fn codes_and_tokens_of_one_client_are_refused_from_another() {
    let client = Client::with_rotation(RotationClass::Static);
    let _ = client.sandbox.another_registration("other", REDIRECT);
    let as_other = |path: &str, form: &[(&str, &str)]| {
        let other = [("client_id", "other"), ("client_secret", "sbx-cs-other")];
        client.post_as_is(path, &[&other, form].concat(), None)
    };
    let code = client.code("ada");
    let invalid_grant = refused(400, "invalid_grant");
    assert_eq!(error(&as_other("/token", &exchange_form(&code))), invalid_grant);
    let held = tokens(&client.exchange(&code));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &held.refresh)];
    assert_eq!(error(&as_other("/token", &refresh)), invalid_grant);
    let revoke = [("token", held.refresh.as_str())];
    assert_eq!(
        error(&as_other("/revoke", &revoke)),
        refused(400, "invalid_request")
    );
    assert!(client.sandbox.is_live(&held.refresh));
    client.refreshed(&held.refresh);
}
