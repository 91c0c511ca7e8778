//! The refresh rate of upkeep, as a share of the rate that the token endpoint's response time
//! allows.
//!
//! `cargo bench --bench upkeep`. The token endpoint answers after 50 ms; 1,000 connections are due.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::thread;
use std::time::{Duration, Instant};

use harness::{is_smoke, people};
use http::StatusCode;
use valetkey::connections::Budget;
use valetkey::http::{HttpError, HttpRequest, HttpResponse};
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
    let http = |_: HttpRequest| -> Result<HttpResponse, HttpError> {
        thread::sleep(ANSWER);
        let body = r#"{"access_token":"new","token_type":"Bearer","expires_in":3600}"#;
        Ok(HttpResponse::new(StatusCode::OK, body))
    };
    let connections = Connections::builder(vault)
        .server(sandbox.server())
        .provider(sandbox.provider("sandbox"))
        .client("sandbox", sandbox.registration("https://app.test/callback"))
        .http_client(http)
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
