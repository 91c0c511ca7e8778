//! Every public path with marked secrets: none appears in a `Debug`, a `Display`, an error chain, a
//! log line, an event, a page or the output of an example.

use std::process::Command;

use valetkey::http::UreqClient;
use valetkey::model::Label;
use valetkey::resolver::ResolveOptions;
use valetkey::testing::sandbox::{Personality, Refusal};
use valetkey::testing::{Fault, Host, Sandbox};
use valetkey::vault::{MasterKey, SealedVault, SqliteVault, Vault};
use valetkey::{AuthorizationResponse, Binding, ConsentOptions, Resolver};

use crate::logs::Log;
use crate::support::examples::loopback::Loopback;
use crate::support::printed::{Transcript, secrets};
use crate::support::world::{World, operator, person, response, stranger};

/// Performs everything that can be done with one connection, successful or not, and prints the
/// results.
fn walk(world: &World, transcript: &mut Transcript) -> Vec<String> {
    let (alice, bob) = (person("alice"), person("bob"));
    let mut ours = Vec::new();
    transcript.debug(&world.connections);
    transcript.debug(&world.resolver);

    let consent = transcript
        .outcome(
            world
                .connections
                .start(&alice, "notes", ConsentOptions::default()),
        )
        .unwrap();
    ours.push(consent.binding().expose_secret().to_owned());
    let callback = world.sandbox.approve(consent.authorization_url(), "ada");
    transcript.debug(&response(&callback));
    for (who, binding) in [(&bob, consent.binding()), (&alice, &Binding::new("guess"))] {
        transcript.outcome(world.connections.complete(who, response(&callback), binding));
    }
    let forged = callback.replace("iss=", "iss=x");
    transcript.outcome(
        world
            .connections
            .complete(&alice, response(&forged), consent.binding()),
    );
    let connection = transcript.outcome(world.connections.complete(
        &alice,
        response(&callback),
        consent.binding(),
    ));
    transcript.outcome(
        world
            .connections
            .complete(&alice, response(&callback), consent.binding()),
    );
    transcript.outcome(
        world
            .connections
            .start_workspace(&operator(), "notes", ConsentOptions::default()),
    );

    let broken = format!("{callback}&code=again");
    if let Err(error) = AuthorizationResponse::parse(&broken) {
        transcript.error(error);
    }

    if let Some(token) = transcript.outcome(world.resolver.resolve(&alice, "notes")) {
        transcript.debug(&token.dangerous_header());
        transcript.debug(&token.header_for(&"https://sandbox.test/api/notes".parse().unwrap()));
        transcript.debug(&token.header_for(&"https://evil.test/".parse().unwrap()));
        transcript.debug(&token.access_token());
    }
    let label = ResolveOptions::new("notes").label(Label::new("none").unwrap());
    transcript.outcome(world.resolver.resolve(&alice, &label));
    transcript.outcome(world.resolver.resolve(&stranger("alice"), "notes"));
    transcript.outcome(world.resolver.peek(&alice, "notes"));
    for address in ["/notes", "https://evil.test/", "/redirect"] {
        let request = http::Request::get(address).body(Vec::new()).unwrap();
        transcript.outcome(world.resolver.send(&alice, "notes", request));
    }
    transcript.outcome(world.connections.list(&alice, &Default::default()));

    if let Some(connection) = connection {
        transcript.outcome(world.connections.refresh(&alice, connection.id));
        transcript.outcome(world.connections.health(&alice, connection.id));
        world.expire();
        transcript.outcome(world.resolver.resolve(&alice, "notes"));
        transcript.outcome(world.connections.maintain(Default::default()));
        transcript.outcome(world.connections.revoke(&alice, connection.id));
        transcript.outcome(world.connections.revoke(&bob, connection.id));
    }
    transcript.outcome(world.resolver.resolve(&alice, "notes"));
    transcript.debug(&world.events.all());
    transcript.debug(&world.sandbox);
    transcript.debug(&world.sandbox.log());
    transcript.debug(&world.http);
    ours
}

#[test]
fn nothing_of_the_whole_walk_is_printed() {
    let behaviours: [fn(&mut Personality); 5] = [
        |_| {},
        |it| it.issues_refresh_tokens = false,
        |it| it.id_token = true,
        |it| it.dead_grant = Refusal::Marked("marker".into()),
        |it| it.token_outage = Some(Refusal::Marked("marker".into())),
    ];
    for behaviour in behaviours {
        let sealed = SqliteVault::in_memory(MasterKey::generate().unwrap()).unwrap();
        for world in [
            World::with(SealedVault::in_memory(), behaviour),
            World::with(sealed, behaviour),
        ] {
            let mut transcript = Transcript::default();
            let mut all = walk(&world, &mut transcript);
            all.extend(secrets(&world.sandbox));
            transcript.assert_clean(&all);
        }
    }
}

#[test]
fn no_error_of_a_server_is_repeated() {
    let marked = |status: u16| {
        [
            (
                status,
                r#"{"error":"marker","error_description":"marker","error_uri":"https://marker"}"#.to_owned(),
            ),
            (status, "<html><body>marker</body></html>".to_owned()),
            (
                status,
                r#"{"errors":[{"message":"marker"}],"err":"marker"}"#.to_owned(),
            ),
            (
                status,
                r#"{"access_token":"marker","token_type":"marker"}"#.to_owned(),
            ),
            (
                status,
                r#"{"access_token":["marker"],"expires_in":"marker","scope":{"marker":1}}"#.to_owned(),
            ),
            (status, "marker".to_owned()),
        ]
    };
    for status in [200, 201, 302, 400, 401, 403, 429, 500, 503] {
        for (status, body) in marked(status) {
            let world = World::new();
            let mut transcript = Transcript::default();
            let alice = person("alice");
            world.connect(&alice, "ada");
            world.expire();
            for path in ["/token", "/userinfo", "/revoke", "/token"] {
                world.http.on(path).next(Fault::Status(status, body.clone()));
            }
            transcript.outcome(world.resolver.resolve(&alice, "notes"));
            for connection in world.connections.list(&alice, &Default::default()).unwrap() {
                transcript.debug(&connection);
                transcript.outcome(world.connections.health(&alice, connection.id));
                transcript.outcome(world.connections.revoke(&alice, connection.id));
            }
            transcript.outcome(world.try_connect(&alice, "grace", ConsentOptions::default()));
            transcript.debug(&world.events.all());
            transcript.assert_clean(&secrets(&world.sandbox));
        }
    }
}

#[test]
fn a_vault_does_not_print_what_it_keeps() {
    let mut transcript = Transcript::default();
    let key = MasterKey::generate().unwrap();
    let text = key.to_base64().to_string();
    transcript.debug(&key);
    let vault = SqliteVault::in_memory(key).unwrap();
    transcript.debug(&vault);
    for broken in [&text[..20], &text.to_lowercase(), "", "marker"] {
        if let Err(error) = MasterKey::from_base64(broken) {
            transcript.error(error);
        }
    }
    let memory = SealedVault::in_memory();
    let world = World::over(memory);
    world.connect(&person("alice"), "ada");
    transcript.debug(&world.connections);
    let keeps: &dyn Vault = &vault;
    transcript.debug(&keeps);
    let mut all = secrets(&world.sandbox);
    all.push(text);
    transcript.0.push_str(&" ".repeat(1_000));
    transcript.assert_clean(&all);
}

// librefang/librefang#5525, metabrainz/picard#3409, evcc-io/evcc#33339: tokens in debug logs.
#[test]
fn no_dependency_logs_a_secret() {
    let log = Log::listen();
    let server = Loopback::bind("127.0.0.1", 0).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let vault = SqliteVault::open(directory.path().join("vault.db"), MasterKey::generate().unwrap()).unwrap();
    let client = UreqClient::new().dangerous_loopback_http();
    let host = Host::builder()
        .at(server.origin())
        .vault(vault)
        .connections(|_, builder| builder.http_client(client))
        .build()
        .unwrap();
    let Host {
        sandbox,
        connections,
        clock,
        ..
    } = &host;
    let served = sandbox.clone();
    server.serve(move |request| served.handle(request));
    let alice = person("alice");
    let connection = host.connect(&alice, "notes");
    let resolver = Resolver::new(connections.clone());
    let request = || http::Request::get("/notes").body(Vec::new()).unwrap();
    assert_eq!(resolver.send(&alice, "notes", request()).unwrap().status(), 200);
    clock.advance(std::time::Duration::from_secs(3_601));
    assert_eq!(resolver.send(&alice, "notes", request()).unwrap().status(), 200);
    connections.revoke(&alice, connection.id).unwrap();

    let lines = log.lines();
    assert!(lines.contains("ureq"), "nothing was logged");
    let all = secrets(sandbox);
    assert!(all.len() > 5);
    for secret in &all {
        assert!(
            !lines.contains(secret.as_str()),
            "a secret of {} bytes was logged",
            secret.len()
        );
    }
}

#[test]
fn no_example_prints_a_secret() {
    let examples: [&[&str]; 7] = [
        &["consent_flow"],
        &["turn_loop"],
        &["upkeep"],
        &["custom_provider"],
        &["custom_store"],
        &["gateway", "--", "--check"],
        &["axum_host"],
    ];
    for arguments in examples {
        let example = arguments[0];
        let output = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--example"])
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{example}: {text}");
        assert!(text.len() > 50, "{example} printed nothing");
        assert!(
            !text.contains(Sandbox::SECRET_PREFIX),
            "{example} printed a secret"
        );
    }
}
