//! `redact` compared with a plain search for one unencoded token, on 1 MiB of tool output; and a
//! whole `send`.
//!
//! `cargo bench --bench redact`, or with `-- --smoke` for a short run. MB/s is 1,048,576 divided by
//! the median in µs.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::alloc::System;

use std::time::{Duration, Instant};

use harness::{Scenario, check, is_smoke, quantile};
use http::{Request, StatusCode};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use valetkey::http::{HttpClient as _, HttpRequest, HttpResponse};
use valetkey::resolver::Turn;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::vault::SealedVault;
use valetkey::{ActingUser, AuthorizationResponse, Connections, ConsentOptions, Resolver};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SIZE: usize = 1024 * 1024;

fn main() {
    let host = Connected::new();
    let texts = Texts::new();
    let [one, ten, hundred] = [1, 10, 100].map(|tokens| host.turn_with(tokens));
    let token = one.resolve("notes").expect("connected");
    let token = token.access_token().expose_secret();
    let mut leaky = texts.prose.clone();
    for at in (0..SIZE - token.len()).step_by(SIZE / 100) {
        leaky.replace_range(at..at + token.len(), token);
    }
    let (resolver, person) = (&host.resolver, &host.person);
    let redact = |turn: &Turn, text: &str| turn.redact(text).len();

    harness::run(
        &mut [
            Scenario::new("floor: str::contains, prose", || texts.prose.contains(token)),
            Scenario::new("prose", || redact(&one, &texts.prose)),
            Scenario::new("prose, 10 tokens", || redact(&ten, &texts.prose)),
            Scenario::new("prose, 100 tokens", || redact(&hundred, &texts.prose)),
            Scenario::new("JSON with escapes", || redact(&one, &texts.json)),
            Scenario::new("JSON with escapes, 10 tokens", || redact(&ten, &texts.json)),
            Scenario::new("JSON with escapes, 100 tokens", || redact(&hundred, &texts.json)),
            Scenario::new("base64", || redact(&one, &texts.base64)),
            Scenario::new("base64, 10 tokens", || redact(&ten, &texts.base64)),
            Scenario::new("base64, 100 tokens", || redact(&hundred, &texts.base64)),
            Scenario::new("source code", || redact(&one, &texts.code)),
            Scenario::new("source code, 10 tokens", || redact(&ten, &texts.code)),
            Scenario::new("source code, 100 tokens", || redact(&hundred, &texts.code)),
            Scenario::new("a token every 10 KiB", || redact(&one, &leaky)),
            Scenario::new("stream, prose in 16 KiB pieces", || {
                stream(&one, &texts.prose, 16_384)
            }),
            Scenario::new("stream, prose, 100 tokens", || {
                stream(&hundred, &texts.prose, 16_384)
            }),
            Scenario::new("stream, JSON with escapes", || stream(&one, &texts.json, 16_384)),
            Scenario::new("stream, base64", || stream(&one, &texts.base64, 16_384)),
            Scenario::new("stream, source code", || stream(&one, &texts.code, 16_384)),
            Scenario::new("stream, prose in 4 KiB pieces", || {
                stream(&one, &texts.prose, 4_096)
            }),
            Scenario::new("stream, prose in 64 B pieces", || stream(&one, &texts.prose, 64)),
            Scenario::new("a turn that resolves", || {
                let turn = resolver.turn(person.clone());
                usize::from(turn.resolve("notes").is_ok())
            }),
            Scenario::new("a turn that resolves and redacts 1 KiB", || {
                let turn = resolver.turn(person.clone());
                usize::from(turn.resolve("notes").is_ok()) + redact(&turn, &texts.prose[..1_024])
            }),
            Scenario::new("send outside of a turn, 1 KiB back", || {
                let request = Request::get("/notes").body(Vec::new()).expect("a request");
                let response = resolver.send(person, "notes", request).expect("an answer");
                response.into_body().len()
            }),
        ],
        |run| {
            let region = Region::new(ALLOCATOR);
            run();
            region.change().allocations
        },
    );
    for tokens in [1, 10, 100] {
        first_use(&host, tokens, &texts.prose[..1_024]);
    }
}

fn stream(turn: &Turn, text: &str, piece: usize) -> usize {
    let mut redactor = turn.redactor();
    let pieces = text.as_bytes().chunks(piece);
    let given: usize = pieces.map(|piece| redactor.push_bytes(piece).len()).sum();
    given + redactor.finish().len()
}

/// Measures the first text that a turn masks after it received a token, in µs. It includes what is
/// built once for all later texts.
#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
fn first_use(host: &Connected, tokens: usize, text: &str) {
    let turns = if is_smoke() { 2 } else { 25 };
    let took: Vec<f64> = (0..turns)
        .map(|_| {
            let turn = host.turn_with(tokens);
            let begun = Instant::now();
            assert_eq!(turn.redact(text), text);
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    println!(
        "first 1 KiB of a turn with {tokens} tokens: {:.0} us median, {:.0} us p90",
        quantile(&took, 0.5),
        quantile(&took, 0.9)
    );
    // Half of the turns may be disturbed by other load of the machine.
    check("first use of a turn in us", quantile(&took, 0.5), 500.0);
}

/// 1 MiB each.
struct Texts {
    prose: String,
    json: String,
    base64: String,
    code: String,
}

impl Texts {
    fn new() -> Self {
        let fill = |line: &str| line.repeat(SIZE / line.len() + 1)[..SIZE].to_owned();
        Self {
            prose: fill("The quick brown fox jumps over the lazy dog, and nothing of it is a token.\n"),
            json: fill(
                r#"{"id":"18c2f0e1","snippet":"Line one\nline two, 100% of it","labels":["INBOX","UNREAD"]},"#,
            ),
            base64: fill(
                "JVBERi0xLjcKJeLjz9MKMSAwIG9iago8PC9UeXBlL0NhdGFsb2cvUGFnZXMgMiAwIFI+PgplbmRvYmoK\n",
            ),
            code: fill(
                "    let value = (map[\"key\"] & 0xff) * 2; // 100 %, see \\x41\n    if value == 0 { return; }\n",
            ),
        }
    }
}

/// A user connected to a service whose API always returns the same response.
struct Connected {
    resolver: Resolver,
    person: ActingUser,
    clock: ManualClock,
}

impl Connected {
    /// Returns a turn that has received this many tokens.
    fn turn_with(&self, tokens: usize) -> Turn {
        let turn = self.resolver.turn(self.person.clone());
        turn.resolve("notes").expect("connected");
        for _ in 1..tokens {
            // The token expires, and the turn gets the next one.
            self.clock.advance(Duration::from_secs(3_600));
            turn.resolve("notes").expect("refreshed");
        }
        turn
    }

    fn new() -> Self {
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
            .clock(clock.clone())
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
        Self {
            resolver: Resolver::new(connections),
            person,
            clock,
        }
    }
}
