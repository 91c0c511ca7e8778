//! Many threads find the same token expired: the number of requests, and the time until all threads
//! have the new token.
//!
//! `cargo bench --bench herd`. The token endpoint answers after 50 ms; the drain is the time from
//! its response until the last thread has the token. Beside it stands the time in which as many
//! threads leave a barrier.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use harness::{is_smoke, people, quantile};
use http::StatusCode;
use valetkey::http::{HttpError, HttpRequest, HttpResponse};
use valetkey::testing::{ManualClock, Sandbox};
use valetkey::{Clock as _, Connections, Resolver};

/// The response time of the token endpoint.
const ANSWER: Duration = Duration::from_millis(50);

fn main() {
    let repeats = if is_smoke() { 1 } else { 7 };
    for threads in [1, 100, 1_000] {
        let (mut drains, mut controls) = (Vec::new(), Vec::new());
        for _ in 0..repeats {
            let (requests, drain) = herd(threads);
            assert_eq!(requests, 1, "one request, however many ask");
            drains.push(drain.as_secs_f64() * 1e3);
            controls.push(control(threads).as_secs_f64() * 1e3);
        }
        report(threads, &drains, &controls);
    }
}

/// Returns how long the same number of threads needs to leave a barrier: the share of the scheduler
/// in a drain.
fn control(threads: usize) -> Duration {
    let barrier = Barrier::new(threads + 1);
    let last = Mutex::new(None);
    let released = thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                barrier.wait();
                note(&last);
            });
        }
        // The threads have to wait at the barrier, as those of a herd wait for the answer.
        thread::sleep(ANSWER);
        let released = Instant::now();
        barrier.wait();
        released
    });
    last.into_inner().expect("no panic").expect("a thread") - released
}

/// Notes that a thread is done. The last one remains.
fn note(last: &Mutex<Option<Instant>>) {
    *last.lock().expect("no panic") = Some(Instant::now());
}

#[allow(clippy::print_stdout, reason = "a bench reports on standard output")]
fn report(threads: usize, drains: &[f64], controls: &[f64]) {
    println!(
        "{threads:>5} threads: 1 request; drained in {:.2} ms ({:.2}..{:.2}); at a barrier {:.2} ms",
        quantile(drains, 0.5),
        quantile(drains, 0.0),
        quantile(drains, 1.0),
        quantile(controls, 0.5),
    );
}

fn herd(threads: usize) -> (usize, Duration) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let vault = people::vault(&directory.path().join("vault.db"));
    people::connect_all(&vault, 1);
    let clock = ManualClock::new(valetkey::SystemClock.now() + Duration::from_secs(40 * 24 * 3600));
    let sandbox = Sandbox::new(clock.clone());
    let requests = Arc::new(AtomicUsize::new(0));
    let answered = Arc::new(Mutex::new(None));
    let http = {
        let (requests, answered) = (Arc::clone(&requests), Arc::clone(&answered));
        move |_: HttpRequest| -> Result<HttpResponse, HttpError> {
            requests.fetch_add(1, Ordering::Relaxed);
            thread::sleep(ANSWER);
            *answered.lock().expect("no panic") = Some(Instant::now());
            let body = r#"{"access_token":"new","token_type":"Bearer","expires_in":3600}"#;
            Ok(HttpResponse::new(StatusCode::OK, body))
        }
    };
    let connections = Connections::builder(vault)
        .server(sandbox.server())
        .provider(sandbox.provider("sandbox"))
        .client("sandbox", sandbox.registration("https://app.test/callback"))
        .http_client(http)
        .clock(clock)
        .build()
        .expect("connections");
    let resolver = Resolver::new(connections);
    let person = people::person(0);
    let start = Barrier::new(threads);
    let drained = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                start.wait();
                resolver.resolve(&person, "sandbox").expect("the new token");
                note(&drained);
            });
        }
    });
    let drained = drained.into_inner().expect("no panic").expect("a thread");
    let answered = answered.lock().expect("no panic").expect("it was asked");
    (requests.load(Ordering::Relaxed), drained - answered)
}
