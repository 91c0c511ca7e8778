//! The refresh rate of upkeep, as a share of the rate that the token endpoint's response time
//! allows.
//!
//! `cargo bench --bench upkeep`. The token endpoint answers after 50 ms; 1,000 connections are due.
//! The last line is one call with as many at a second server that does not answer.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::thread;
use std::time::{Duration, Instant};

use harness::{check, is_smoke, people};
use http::StatusCode;
use valetkey::connections::Budget;
use valetkey::http::{HttpError, HttpRequest, HttpResponse};
use valetkey::model::ServerId;
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::{Clock as _, Connections};

/// The response time of the token endpoint.
const ANSWER: Duration = Duration::from_millis(50);

fn main() {
    let due = if is_smoke() { 8 } else { 1_000 };
    for workers in [1, 8, 32] {
        // A single worker takes 50 s for all of them.
        let due = if workers == 1 { due.min(100) } else { due };
        report(workers, due, upkeep(workers, due));
    }
    beside_a_dead_server(due);
}

/// Refreshes connections at two servers in one call, of which one does not answer.
#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
fn beside_a_dead_server(due: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let vault = people::vault(&directory.path().join("vault.db"));
    let clock = ManualClock::new(valetkey::SystemClock.now() + Duration::from_secs(40 * 24 * 3600));
    let sandbox = Sandbox::new(clock.clone());
    let dead = |value: serde_json::Value| {
        let text = value.to_string().replace("sandbox.test", DEAD);
        serde_json::from_str::<serde_json::Value>(&text).expect("a document")
    };
    let mut server = dead(serde_json::to_value(sandbox.server()).expect("a document"));
    server["id"] = "dead".into();
    let mut provider = dead(serde_json::to_value(sandbox.provider("dead")).expect("a document"));
    provider["server"] = "dead".into();
    // Those at the dead server are due first.
    for number in 0..due {
        let mut issued_by = people::issued_by_the_sandbox();
        issued_by.server = ServerId::new("dead").expect("an id");
        for endpoint in [&mut issued_by.token_endpoint, &mut issued_by.refresh_endpoint] {
            *endpoint = endpoint.replace("sandbox.test", DEAD);
        }
        people::connect_at(&vault, &people::person(number), "dead", issued_by);
    }
    people::connect_all(&vault, due);
    let connections = Connections::builder(vault)
        .server(sandbox.server())
        .provider(sandbox.provider("sandbox"))
        .client("sandbox", sandbox.registration("https://app.test/callback"))
        .server(serde_json::from_value(server).expect("a server"))
        .provider(serde_json::from_value(provider).expect("a provider"))
        .client("dead", sandbox.registration("https://app.test/callback"))
        .http_client(|request: HttpRequest| {
            if request.url.host_str() == Some(DEAD) {
                thread::sleep(request.timeout);
                return Err(HttpError::Timeout);
            }
            answer()
        })
        .clock(clock)
        .build()
        .expect("connections");
    let budget = Budget::default()
        .refreshes(2 * due)
        .workers(32)
        .time(Duration::from_secs(120));
    let begun = Instant::now();
    let upkeep = connections.maintain(budget).expect("upkeep");
    println!(
        "beside {due} at a server that does not answer: {} of {due} refreshed in {:.1} s by one call",
        upkeep.refreshed,
        begun.elapsed().as_secs_f64(),
    );
    check(
        "not refreshed beside a dead server",
        due.saturating_sub(upkeep.refreshed) as f64,
        0.0,
    );
}

/// The host that does not answer.
const DEAD: &str = "dead.test";

/// The response of a token endpoint that answers.
fn answer() -> Result<HttpResponse, HttpError> {
    thread::sleep(ANSWER);
    let body = r#"{"access_token":"new","token_type":"Bearer","expires_in":3600}"#;
    Ok(HttpResponse::new(StatusCode::OK, body))
}

#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
fn report(workers: usize, due: usize, took: Duration) {
    let rate = due as f64 / took.as_secs_f64();
    let most = workers as f64 / ANSWER.as_secs_f64();
    println!(
        "{workers:>3} workers: {due} refreshes, {rate:.0} a second, {:.2} of what the answers allow",
        rate / most
    );
}

fn upkeep(workers: usize, due: usize) -> Duration {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let vault = people::vault(&directory.path().join("vault.db"));
    people::connect_all(&vault, due);
    let clock = ManualClock::new(valetkey::SystemClock.now() + Duration::from_secs(40 * 24 * 3600));
    let sandbox = Sandbox::new(clock.clone());
    let connections = Connections::builder(vault)
        .server(sandbox.server())
        .provider(sandbox.provider("sandbox"))
        .client("sandbox", sandbox.registration("https://app.test/callback"))
        .http_client(|_: HttpRequest| answer())
        .clock(clock)
        .build()
        .expect("connections");
    let budget = Budget::default()
        .refreshes(due)
        .workers(workers)
        .time(Duration::from_secs(600));
    let begun = Instant::now();
    let upkeep = connections.maintain(budget).expect("upkeep");
    assert_eq!(upkeep.refreshed, due, "{upkeep:?}");
    begun.elapsed()
}
