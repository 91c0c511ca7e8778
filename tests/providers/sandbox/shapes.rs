//! The formats of answers, and the addresses of the sandbox.

use super::*;

#[test]
fn answers_take_the_shapes_of_real_servers() {
    let client = Client::with_rotation(RotationClass::Static);
    let refresh = client.tokens("ada").refresh;
    let answer = || json(&client.refresh(&refresh));
    for (echo, expected) in [
        (ScopeEcho::Commas, "notes.read,notes.write".into()),
        (ScopeEcho::Array, serde_json::json!(["notes.read", "notes.write"])),
        (ScopeEcho::Absent, Value::Null),
    ] {
        client.sandbox.adjust(|it| it.scope_echo = echo);
        assert_eq!(answer()["scope"], expected);
    }
    for (shape, expected) in [
        (ExpiresIn::Text, "3600".into()),
        (ExpiresIn::Float, 3600.0.into()),
        (ExpiresIn::Absent, Value::Null),
        (ExpiresIn::Literal("315360000".into()), 315_360_000.into()),
        (ExpiresIn::Literal("-1".into()), (-1).into()),
    ] {
        client.sandbox.adjust(|it| it.expires_in = shape);
        assert_eq!(answer()["expires_in"], expected);
    }
    client.sandbox.adjust(|it| {
        it.token_type = None;
        it.id_token = true;
        it.token_status = http::StatusCode::CREATED;
    });
    let created = client.refresh(&refresh);
    assert_eq!(created.status, 201);
    assert_eq!(json(&created)["token_type"], Value::Null);
    assert!(json(&created)["id_token"].is_string());

    client
        .sandbox
        .adjust(|it| it.withheld_scopes = vec!["notes.write".into()]);
    let code = client.code("ada");
    assert!(client.exchange(&code).status.is_success());
    let dropped = &client.sandbox.live_grants()[1].scopes;
    assert_eq!(dropped.to_string(), "notes.read");
}

#[test]
fn refusals_take_the_shapes_of_real_servers() {
    let client = Client::new();
    let set = |refusal: Refusal| client.sandbox.adjust(|it| it.dead_grant = refusal);
    for status in [200, 401, 403, 500] {
        set(Refusal::JsonWith(status));
        assert_eq!(
            error(&client.refresh("no-token")),
            refused(status, "invalid_grant")
        );
    }
    set(Refusal::Empty(400));
    let empty = client.refresh("no-token");
    assert_eq!((empty.status.as_u16(), empty.body.len()), (400, 0));
    set(Refusal::Code {
        status: 400,
        error: "invalid_code".into(),
    });
    assert_eq!(error(&client.refresh("no-token")), refused(400, "invalid_code"));
    set(Refusal::Marked("m4rker".into()));
    let marked = json(&client.refresh("no-token"));
    assert_eq!(marked["error"], "invalid_grant");
    assert!(marked["error_description"].as_str().unwrap().contains("m4rker"));

    // An outage changes nothing: tokens that were live before are live after it.
    let live = client.tokens("ada");
    client
        .sandbox
        .adjust(|it| it.token_outage = Some(Refusal::Html(502)));
    assert_eq!(client.refresh(&live.refresh).status, 502);
    let limited = Some(Refusal::RateLimited("900".into()));
    client.sandbox.adjust(|it| it.token_outage = limited);
    assert_eq!(client.refresh(&live.refresh).headers[header::RETRY_AFTER], "900");
    client.sandbox.adjust(|it| it.token_outage = None);
    let _new = client.refreshed(&live.refresh);
}

#[test]
fn the_issuer_is_named_as_set() {
    let client = Client::new();
    let issuer = |echo: IssuerEcho| {
        client.sandbox.adjust(|it| it.issuer = echo);
        let allowed = client.sandbox.approve(client.authorization_url(), "ada");
        let denied = client.sandbox.deny(client.authorization_url());
        (query(&allowed, "iss"), query(&denied, "iss"))
    };
    let own = || Some("https://sandbox.test".to_owned());
    let other = || Some("https://other.test".to_owned());
    assert_eq!(issuer(IssuerEcho::Always), (own(), own()));
    assert_eq!(issuer(IssuerEcho::WithCodeOnly), (own(), None));
    assert_eq!(issuer(IssuerEcho::Never), (None, None));
    assert_eq!(
        issuer(IssuerEcho::Instead("https://other.test".into())),
        (other(), other())
    );
}

#[test]
fn the_log_keeps_everything_and_prints_no_value() {
    let client = Client::new();
    let code = client.code("ada");
    client.sandbox.clear_log();
    let first = tokens(&client.exchange(&code));
    let echoed = client.get("/api/echo", &first.access);
    let credential = format!("Bearer {}", first.access);
    assert_eq!(json(&echoed)["headers"]["authorization"], credential.as_str());
    assert_eq!(client.get("/api/redirect", &first.access).status, 302);

    let log = client.sandbox.log();
    assert_eq!(client.sandbox.count("/token"), 1);
    assert_eq!(log[0].parameter("code"), Some(code.as_str()));
    assert_eq!(log[1].header("authorization"), Some(credential.as_str()));
    assert_eq!(log[2].status(), 302);

    let printed = format!("{log:?} {:?}", client.sandbox);
    assert!(printed.contains("code_verifier"));
    assert!(!printed.contains(Sandbox::SECRET_PREFIX));
    let secrets = client.sandbox.issued_secrets();
    for secret in [&code, &first.access, &first.refresh] {
        assert!(secrets.contains(secret));
    }
    assert!(
        secrets
            .iter()
            .all(|secret| secret.starts_with(Sandbox::SECRET_PREFIX))
    );
}

#[test]
fn an_answer_can_be_lost_on_its_way() {
    let client = Client::new();
    let first = client.tokens("ada");
    let faulty = FaultClient::new(client.sandbox.clone());
    faulty.on("/token").next(Fault::InterruptedAfterSend);
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", &first.refresh)
        .append_pair("client_id", &client.sandbox.client_id())
        .append_pair("client_secret", &client.sandbox.client_secret())
        .finish();
    let request = HttpRequest::new(Method::POST, client.sandbox.base_url().join("/token").unwrap())
        .with_header(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        )
        .with_body(body);
    assert_eq!(faulty.send(request).unwrap_err(), HttpError::Interrupted);
    assert!(!client.sandbox.is_live(&first.refresh));
    assert_eq!(client.sandbox.live_grants()[0].refresh_tokens, 1);
}

#[test]
fn another_origin_cannot_be_reached() {
    let client = Client::new();
    let elsewhere = Url::parse("https://elsewhere.test/token").unwrap();
    let request = HttpRequest::new(Method::GET, elsewhere);
    assert_eq!(client.sandbox.send(request).unwrap_err(), HttpError::Connect);
    assert!(client.sandbox.log().is_empty());
}

#[test]
fn the_same_sandbox_is_served_over_loopback() {
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let address = server.server_addr().to_ip().unwrap();
    let base = format!("http://{address}");
    let clock = ManualClock::default();
    let client = Client {
        sandbox: Sandbox::at(&base, clock.clone()),
        clock,
    };
    client.sandbox.allow_redirect(REDIRECT);
    let id = client.sandbox.client_id();
    assert!(client.sandbox.server().token_endpoint.starts_with(&base));

    let served = client.sandbox.clone();
    let serving = std::thread::spawn(move || serve_one(&served, &server));
    let path = client.authorization_url();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {}?{} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n",
        path.path(),
        path.query().unwrap()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serving.join().unwrap();

    assert!(answer.starts_with("HTTP/1.1 200"));
    assert!(answer.contains("<h1>Allow access?</h1>") && answer.contains(&id));
    assert_eq!(client.sandbox.count("/authorize"), 1);
}

/// Serves one request of an example that puts the sandbox behind a real server.
fn serve_one(sandbox: &Sandbox, server: &tiny_http::Server) {
    let mut received = server.recv().unwrap();
    let url = sandbox.base_url().join(received.url()).unwrap();
    let method = received.method().as_str().parse().unwrap();
    let mut body = Vec::new();
    received.as_reader().read_to_end(&mut body).unwrap();
    let mut request = HttpRequest::new(method, url).with_body(body);
    for header in received.headers() {
        let name: HeaderName = header.field.as_str().as_str().parse().unwrap();
        let value = HeaderValue::from_str(header.value.as_str()).unwrap();
        request = request.with_header(name, value);
    }
    let answer = sandbox.handle(request);
    let mut response =
        tiny_http::Response::from_data(answer.body.as_bytes()).with_status_code(answer.status.as_u16());
    for (name, value) in &answer.headers {
        let header = tiny_http::Header::from_bytes(name.as_str(), value.as_bytes()).unwrap();
        response = response.with_header(header);
    }
    received.respond(response).unwrap();
}
