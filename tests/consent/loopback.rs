//! Consents whose browser returns to a loopback port.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use url::Url;
use valetkey::error::AuthorizationError;
use valetkey::error::{ConsentError, Misconfigured};
use valetkey::loopback::{self, LoopbackError, LoopbackOptions};
use valetkey::model::Label;
use valetkey::testing::{Host, Sandbox};
use valetkey::{ConsentOptions, Error, UserId};

use crate::support::substitute::Substitute;

const DONE: &str = "The connection has been made. You can close this window.";
const FAILED: &str = "The connection has not been made.";

fn host() -> Host {
    at("http://127.0.0.1/callback")
}

fn at(redirect_uri: &str) -> Host {
    Host::builder().redirect_uri(redirect_uri).build().unwrap()
}

/// A browser that requests one callback.
struct Browser(Url);

impl Browser {
    fn allow(sandbox: &Sandbox, authorization_url: &str) -> Self {
        Self(Url::parse(&sandbox.approve(authorization_url, "ada")).unwrap())
    }

    fn connect(&self) -> TcpStream {
        let port = self.0.port().expect("the callback has the port that was free");
        TcpStream::connect(("127.0.0.1", port)).unwrap()
    }

    /// Sends this text and reads the whole response.
    fn send(&self, text: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        // A connection that is closed without a response may be reset.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn get(&self, target: &str) -> String {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    /// Follows the callback.
    fn come_back(&self) -> String {
        self.get(&format!("{}?{}", self.0.path(), self.0.query().unwrap()))
    }
}

/// Returns the number of Ada's open consent requests.
fn open_consents(host: &Host) -> usize {
    let ada = UserId::new("ada").unwrap();
    host.connections
        .pending(&host.operator("olga"), &ada)
        .unwrap()
        .len()
}

#[test]
fn the_browser_comes_back_to_the_port_that_was_free() {
    for redirect_uri in [
        "http://127.0.0.1/callback",
        "http://127.0.0.1:1/callback",
        "http://127.0.0.1",
        "http://localhost/deep/callback?app=1",
    ] {
        let host = at(redirect_uri);
        let mut page = String::new();
        let options = ConsentOptions::default().label(Label::new("work").unwrap());
        let connection = loopback::connect_with(
            &host.connections,
            &host.user("ada"),
            "notes",
            LoopbackOptions::default().consent(options),
            |url| {
                page = Browser::allow(&host.sandbox, url).come_back();
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(
            connection.label,
            Some(Label::new("work").unwrap()),
            "{redirect_uri}"
        );
        assert!(
            page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains(DONE),
            "{page}"
        );
        let (head, body) = page.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("Content-Length: {}", body.len())),
            "{page}"
        );
        assert!(head.contains("Cache-Control: no-store"), "{page}");
    }
}

#[test]
fn requests_that_are_not_the_callback_do_not_end_the_wait() {
    let host = host();
    loopback::connect(&host.connections, &host.user("ada"), "notes", |url| {
        let browser = Browser::allow(&host.sandbox, url);
        let query = browser.0.query().unwrap();
        let other_state = query.replace("state=", "state=x");
        for (request, status) in [
            ("GET /favicon.ico HTTP/1.1\r\n\r\n".to_owned(), "404"),
            (format!("GET /callback/?{query} HTTP/1.1\r\n\r\n"), "404"),
            (format!("GET //callback?{query} HTTP/1.1\r\n\r\n"), "404"),
            (format!("POST /callback?{query} HTTP/1.1\r\n\r\n"), "405"),
            (format!("HEAD /callback?{query} HTTP/1.1\r\n\r\n"), "405"),
            (format!("GET /callback?{other_state} HTTP/1.1\r\n\r\n"), "400"),
            ("GET /callback HTTP/1.1\r\n\r\n".to_owned(), "400"),
            (format!("GET /callback?{query}\r\n\r\n"), "400"),
            ("\u{16}\u{3}\u{1} hello\r\n\r\n".to_owned(), "400"),
            (
                format!("GET /callback?{query} HTTP/1.1\r\nX: {}", "x".repeat(64 * 1024)),
                "431",
            ),
        ] {
            let answer = browser.send(&request);
            let line: String = request.chars().take(40).collect();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{line}: {answer}"
            );
            assert!(!answer.contains("sbx-"), "{line}: {answer}");
        }
        assert_eq!(host.http.requests_to("/token"), 0);
        assert!(browser.come_back().contains(DONE));
        Ok(())
    })
    .unwrap();
    assert_eq!(host.http.requests_to("/token"), 1);
}

#[test]
fn connections_that_say_nothing_hold_up_no_other() {
    let host = host();
    loopback::connect(&host.connections, &host.user("ada"), "notes", |url| {
        let browser = Browser::allow(&host.sandbox, url);
        let mut silent: Vec<TcpStream> = (0..40).map(|_| browser.connect()).collect();
        for stream in silent.iter_mut().skip(20) {
            // The server has closed the oldest connections, which may include these.
            let _ = stream.write_all(b"GET /callback?co");
        }
        assert!(browser.come_back().contains(DONE));
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_callback_that_arrives_in_pieces_is_read() {
    let host = host();
    loopback::connect(&host.connections, &host.user("ada"), "notes", |url| {
        let browser = Browser::allow(&host.sandbox, url);
        let mut stream = browser.connect();
        let query = browser.0.query().unwrap();
        for byte in format!("GET /callback?{query} HTTP/1.1\r\n\r\n").as_bytes() {
            stream.write_all(&[*byte]).unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(DONE), "{answer}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_browser_that_never_comes_ends_the_wait_and_the_consent() {
    let host = host();
    let mut address = None;
    let error = loopback::connect_with(
        &host.connections,
        &host.user("ada"),
        "notes",
        LoopbackOptions::default().timeout(Duration::ZERO),
        |url| {
            address = Some(Browser::allow(&host.sandbox, url));
            Ok(())
        },
    )
    .unwrap_err();
    assert!(matches!(error, LoopbackError::TimedOut), "{error:?}");
    assert_eq!(open_consents(&host), 0);
    let port = address.unwrap().0.port().unwrap();
    assert!(
        TcpStream::connect(("127.0.0.1", port)).is_err(),
        "nobody listens any more"
    );
}

#[test]
fn a_browser_that_cannot_be_opened_ends_the_wait_and_the_consent() {
    let host = host();
    let error = loopback::connect(&host.connections, &host.user("ada"), "notes", |_| {
        Err(io::Error::from(io::ErrorKind::NotFound))
    })
    .unwrap_err();
    assert!(
        matches!(error, LoopbackError::Browser(io::ErrorKind::NotFound)),
        "{error:?}"
    );
    assert_eq!(open_consents(&host), 0);
}

#[test]
fn a_closure_that_panics_leaves_nobody_waiting() {
    let host = host();
    let begun = Instant::now();
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let _ = loopback::connect(&host.connections, &host.user("ada"), "notes", |_| {
            panic!("no browser")
        });
    }));
    assert!(panicked.is_err());
    // The test must not wait for the browser's five minutes.
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_person_who_refuses_is_told_and_so_is_the_host() {
    let host = host();
    let mut page = String::new();
    let error = loopback::connect(&host.connections, &host.user("ada"), "notes", |url| {
        page = Browser(Url::parse(&host.sandbox.deny(url)).unwrap()).come_back();
        Ok(())
    })
    .unwrap_err();
    let denied = ConsentError::Denied(AuthorizationError::AccessDenied);
    assert!(
        matches!(error, LoopbackError::Connection(Error::Consent(error)) if error == denied),
        "{error:?}"
    );
    assert!(page.contains(FAILED), "{page}");
}

#[test]
fn a_callback_that_is_delivered_again_is_answered_as_the_first_one() {
    let host = host();
    let (entered, in_exchange) = sync_channel(1);
    let (release, released) = sync_channel(0);
    let released = Mutex::new(released);
    let mut connections = Substitute::new(host.connections.clone());
    connections.on_complete = Box::new(move || {
        entered.send(()).unwrap();
        released.lock().unwrap().recv().unwrap();
    });
    loopback::connect(&connections, &host.user("ada"), "notes", |url| {
        let browser = Browser::allow(&host.sandbox, url);
        thread::scope(|scope| {
            let first = scope.spawn(|| browser.come_back());
            in_exchange.recv().unwrap();
            // If a connection is closed because the queue is full, all others wait for the first
            // one.
            let (answered, answers) = sync_channel(17);
            for _ in 0..17 {
                let (answered, browser) = (answered.clone(), &browser);
                scope.spawn(move || {
                    let answer = loop {
                        // If many arrive at the same moment, the oldest may be closed without a
                        // response.
                        let answer = browser.come_back();
                        if !answer.is_empty() {
                            break answer;
                        }
                    };
                    answered.send(answer).unwrap();
                });
            }
            assert!(answers.recv().unwrap().starts_with("HTTP/1.1 503 "));
            release.send(()).unwrap();
            assert!(first.join().unwrap().contains(DONE));
            for _ in 0..16 {
                let answer = answers.recv().unwrap();
                assert!(answer.contains(DONE), "{answer}");
            }
        });
        Ok(())
    })
    .unwrap();
    assert_eq!(host.http.requests_to("/token"), 1);
}

#[test]
fn a_failure_after_the_callback_is_the_result() {
    let host = host();
    host.sandbox
        .adjust(|server| server.token_outage = Some(valetkey::testing::sandbox::Refusal::Json));
    let mut page = String::new();
    let error = loopback::connect(&host.connections, &host.user("ada"), "notes", |url| {
        page = Browser::allow(&host.sandbox, url).come_back();
        Ok(())
    })
    .unwrap_err();
    assert!(
        matches!(
            error,
            LoopbackError::Connection(Error::Consent(ConsentError::ExchangeFailed(_)))
        ),
        "{error:?}"
    );
    assert!(page.contains(FAILED), "{page}");
}

#[test]
fn a_client_without_a_loopback_address_does_not_start() {
    let host = Host::new();
    let error = loopback::connect(&host.connections, &host.user("ada"), "notes", |_| {
        panic!("no browser is opened")
    })
    .unwrap_err();
    let LoopbackError::Connection(Error::Misconfigured(Misconfigured::NoLoopbackRedirect(server))) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(server.as_str(), "sandbox");
}

#[test]
fn a_substitute_that_ignores_the_port_is_found_out() {
    let host = host();
    let mut connections = Substitute::new(host.connections.clone());
    connections.on_start = Box::new(|options| options.loopback_port(1));
    let error = loopback::connect(&connections, &host.user("ada"), "notes", |_| {
        panic!("no browser is opened")
    })
    .unwrap_err();
    assert!(matches!(error, LoopbackError::Redirect), "{error:?}");
    assert_eq!(open_consents(&host), 0);
}
