//! `redact` compared with a plain search for one unencoded token, on 1 MiB of tool output; and a
//! whole `send`.
//!
//! `cargo bench --bench redact`, or with `-- --smoke` for a short run. MB/s is 1,048,576 divided by
//! the median in µs.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::alloc::System;

use harness::Scenario;
use http::{Request, StatusCode};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use valetkey::http::{HttpClient as _, HttpRequest, HttpResponse};
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Resolver};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SIZE: usize = 1024 * 1024;

fn main() {
    let (resolver, person) = connected();
    let turn = resolver.turn(person.clone());
    let token = turn.resolve("notes").expect("connected");
    let token = token.access_token().expose_secret();
    let fill = |line: &str| line.repeat(SIZE / line.len() + 1)[..SIZE].to_owned();
    let prose = fill("The quick brown fox jumps over the lazy dog, and nothing of it is a token.\n");
    let json =
        fill(r#"{"id":"18c2f0e1","snippet":"Line one\nline two, 100% of it","labels":["INBOX","UNREAD"]},"#);
    let base64 = fill("JVBERi0xLjcKJeLjz9MKMSAwIG9iago8PC9UeXBlL0NhdGFsb2cvUGFnZXMgMiAwIFI+PgplbmRvYmoK\n");
    let code = fill(
        "    let value = (map[\"key\"] & 0xff) * 2; // 100 %, see \\x41\n    if value == 0 { return; }\n",
    );
    let mut leaky = prose.clone();
    for at in (0..SIZE - token.len()).step_by(SIZE / 100) {
        leaky.replace_range(at..at + token.len(), token);
    }

    harness::run(
        &mut [
            Scenario::new("floor: str::contains, prose", || prose.contains(token)),
            Scenario::new("redact, prose", || turn.redact(&prose).len()),
            Scenario::new("redact, JSON with escapes", || turn.redact(&json).len()),
            Scenario::new("redact, base64", || turn.redact(&base64).len()),
            Scenario::new("redact, a token every 10 KiB", || turn.redact(&leaky).len()),
            Scenario::new("a turn that resolves", || {
                let turn = resolver.turn(person.clone());
                usize::from(turn.resolve("notes").is_ok())
            }),
            Scenario::new("a turn that resolves and redacts 1 KiB", || {
                let turn = resolver.turn(person.clone());
                usize::from(turn.resolve("notes").is_ok()) + turn.redact(&prose[..1024]).len()
            }),
            Scenario::new("redact, source code", || turn.redact(&code).len()),
            Scenario::new("send outside of a turn, 1 KiB back", || {
                let request = Request::get("/notes").body(Vec::new()).expect("a request");
                let response = resolver.send(&person, "notes", request).expect("an answer");
                response.into_body().len()
            }),
            Scenario::new("redactor, prose in 4 KiB pieces", || {
                let mut redactor = turn.redactor();
                let mut given = 0;
                for at in (0..SIZE).step_by(4096) {
                    given += redactor.push(&prose[at..at + 4096]).len();
                }
                given + redactor.finish().len()
            }),
        ],
        |run| {
            let region = Region::new(ALLOCATOR);
            run();
            region.change().allocations
        },
    );
}

/// A user connected to a service whose API always returns the same response.
fn connected() -> (Resolver, ActingUser) {
    let clock = ManualClock::default();
    let sandbox = Sandbox::new(clock.clone());
    let inner = sandbox.clone();
    let connections = Connections::builder(SealedVault::in_memory())
        .server(sandbox.server())
        .provider(sandbox.provider("notes"))
        .client("sandbox", sandbox.registration("https://app.test/callback"))
        .http_client(move |request: HttpRequest| {
            if request.url.path().starts_with("/api/") {
                return Ok(HttpResponse::new(StatusCode::OK, "x".repeat(1024)));
            }
            inner.send(request)
        })
        .clock(clock)
        .build()
        .expect("a valid host");
    let person = ActingUser::authenticated("acme", "alice").expect("an id");
    let consent = connections
        .start(&person, "notes", ConsentOptions::default())
        .expect("a consent");
    let callback = sandbox.approve(consent.authorization_url(), "ada");
    connections
        .complete(
            &person,
            AuthorizationResponse::parse(&callback).expect("an answer"),
            consent.binding(),
        )
        .expect("a connection");
    (Resolver::new(connections), person)
}
