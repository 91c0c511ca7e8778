//! Streamed bodies, up and down: resent after a 401, masked at every split, and interrupted only by
//! an error.

mod uploads;

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode};
use valetkey::error::{Misconfigured, RequestRefused};
use valetkey::http::{Body, HttpError, HttpRequest, HttpResponse};
use valetkey::resolver::{Download, ResolveOptions, Upload};
use valetkey::testing::Fault;
use valetkey::{ConsentOptions, Error};

use crate::support::world::{World, person};

/// A reader that returns these pieces, one for each call, and then ends as configured.
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    ends: Option<io::Error>,
}

impl Pieces {
    fn of(pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self {
            pieces: pieces.into_iter().collect(),
            ends: None,
        }
    }

    /// Returns the bytes in pieces of this size.
    fn cut(bytes: &[u8], size: usize) -> Self {
        Self::of(bytes.chunks(size).map(<[u8]>::to_vec))
    }

    fn ending_in(mut self, error: io::Error) -> Self {
        self.ends = Some(error);
        self
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.pieces.pop_front() {
            Some(piece) => {
                buffer[..piece.len()].copy_from_slice(&piece);
                Ok(piece.len())
            }
            None => self.ends.take().map_or(Ok(0), Err),
        }
    }
}

fn put(upload: Upload) -> Request<Upload> {
    Request::put("/file").body(upload).unwrap()
}

fn get(address: &str) -> Request<Upload> {
    Request::get(address).body(Upload::empty()).unwrap()
}

fn all(response: Response<Download>) -> Vec<u8> {
    let mut bytes = Vec::new();
    response.into_body().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Returns data at each read, for much longer than any call may take here.
struct Endless(Instant);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.elapsed() > Duration::from_secs(20) {
            return Ok(0);
        }
        buffer.fill(b'x');
        Ok(buffer.len())
    }
}

/// A file that can be opened any number of times, and counts this.
fn counted(bytes: &[u8]) -> (Upload, Arc<AtomicUsize>) {
    let opened = Arc::new(AtomicUsize::new(0));
    let (counter, bytes) = (Arc::clone(&opened), bytes.to_vec());
    let upload = Upload::new(bytes.len() as u64, move || {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(Cursor::new(bytes.clone()))
    });
    (upload, opened)
}

fn connected() -> World {
    let world = World::new();
    world.connect(&person("alice"), "ada");
    world
}

#[test]
fn a_file_goes_up_and_comes_down_as_it_was() {
    let world = connected();
    let turn = world.resolver.turn(person("alice"));
    let file: Vec<u8> = (0..300_000_u32).map(|at| (at * 7 + at / 251) as u8).collect();
    let (upload, opened) = counted(&file);
    assert_eq!(
        turn.send_stream("notes", put(upload)).unwrap().status(),
        StatusCode::CREATED
    );
    assert_eq!(opened.load(Ordering::Relaxed), 1);
    let response = turn.send_stream("notes", get("/file")).unwrap();
    assert!(!response.headers().contains_key(CONTENT_LENGTH));
    assert_eq!(response.body().announced(), Some(file.len() as u64));
    assert_eq!(all(response), file);
    // From memory, without a turn, and in the usual way.
    let alice = person("alice");
    let sent = world
        .resolver
        .turn(alice)
        .send_stream("notes", put(Upload::from(file[..9].to_vec())))
        .unwrap();
    assert_eq!(all(sent), b"{\"bytes\":9}");
    let request = Request::get("/file").body(Vec::new()).unwrap();
    assert_eq!(turn.send("notes", request).unwrap().body(), &file[..9]);
}

#[test]
fn what_is_read_is_asked_for_as_a_reader_and_has_no_cap() {
    let world = connected();
    let settings = valetkey::connections::Settings::default();
    world
        .http
        .on("/api/file")
        .next(Fault::answer(move |request: HttpRequest| {
            assert_eq!(request.max_response_bytes, None);
            assert_eq!(request.idle_timeout, Some(settings.send_timeout));
            assert!(request.timeout > settings.send_timeout && request.timeout <= settings.stream_timeout);
            let size = (settings.send_max_bytes + 1) as u64;
            Ok(HttpResponse::new(
                StatusCode::OK,
                Body::from_reader(io::repeat(b'x').take(size), Some(size)),
            ))
        }));
    let response = world
        .resolver
        .turn(person("alice"))
        .send_stream("notes", get("/file"))
        .unwrap();
    let mut body = response.into_body();
    let size = io::copy(&mut body, &mut io::sink()).unwrap();
    assert_eq!(size, settings.send_max_bytes as u64 + 1);
}

#[test]
fn no_token_straddles_two_pieces_wherever_they_end() {
    let world = connected();
    let turn = world.resolver.turn(person("alice"));
    let token = turn.resolve("notes").unwrap();
    let token = token.access_token().expose_secret().to_owned();
    let hex: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    // At the beginning, in the middle, and at the very end.
    let body = format!("{token} middle {token}{hex} and at the end {token}").into_bytes();
    let clean = b"[redacted] middle [redacted][redacted] and at the end [redacted]";
    for size in (1..80).chain([body.len() - 1, body.len()]) {
        let pieces = Pieces::cut(&body, size);
        world.http.on("/api/file").next(Fault::answer(move |_| {
            Ok(HttpResponse::new(StatusCode::OK, Body::from_reader(pieces, None)))
        }));
        let mut download = turn.send_stream("notes", get("/file")).unwrap().into_body();
        // No part of a token is returned early, whatever the size of the reader's buffer.
        let (mut read, mut buffer) = (Vec::new(), vec![0; 1 + size % 7]);
        loop {
            match download.read(&mut buffer).unwrap() {
                0 => break,
                count => read.extend_from_slice(&buffer[..count]),
            }
            assert!(!turn.contains_secret_bytes(&read), "pieces of {size}");
        }
        assert_eq!(read, clean, "pieces of {size}");
    }
}

#[test]
fn a_client_that_reads_everything_into_memory_is_masked_as_well() {
    let world = connected();
    let echo = world
        .resolver
        .turn(person("alice"))
        .send_stream("notes", get("/echo"))
        .unwrap();
    let echo = String::from_utf8(all(echo)).unwrap();
    assert!(
        echo.contains("Bearer [redacted]") && echo.contains("identity"),
        "{echo}"
    );
    let token = world.resolver.resolve(&person("alice"), "notes").unwrap();
    let token = token.access_token().expose_secret().to_owned();
    world.http.on("/api/file").next(Fault::answer(move |_| {
        Ok(HttpResponse::new(StatusCode::OK, token.clone())
            .with_header(http::header::LOCATION, HeaderValue::from_str(&token).unwrap()))
    }));
    let response = world
        .resolver
        .turn(person("alice"))
        .send_stream("notes", get("/file"))
        .unwrap();
    assert_eq!(response.headers()["location"], "[redacted]");
    assert_eq!(all(response), b"[redacted]");
}

#[test]
fn a_reader_that_was_not_asked_for_is_read_whole() {
    let world = connected();
    let answer = |size: u64| {
        Fault::answer(move |request: HttpRequest| {
            assert!(request.max_response_bytes.is_some());
            let body = Body::from_reader(io::repeat(b'x').take(size), None);
            Ok(HttpResponse::new(StatusCode::OK, body))
        })
    };
    let send = || {
        let request = Request::get("/file").body(Vec::new()).unwrap();
        world.resolver.send(&person("alice"), "notes", request)
    };
    world.http.on("/api/file").next(answer(100));
    assert_eq!(send().unwrap().body().len(), 100);
    let most = valetkey::connections::Settings::default().send_max_bytes as u64;
    world.http.on("/api/file").next(answer(most + 1));
    assert!(matches!(
        send(),
        Err(Error::AnswerTooLarge { limit: Some(limit) }) if limit as u64 == most
    ));
}

#[test]
fn a_client_that_does_not_send_readers_is_found_out() {
    let world = connected();
    world.http.on("/api/file").next(Fault::answer(|request| {
        assert_eq!(
            (request.body.as_bytes().len(), request.body.length()),
            (0, Some(4))
        );
        Ok(HttpResponse::new(StatusCode::OK, ""))
    }));
    let sent = world
        .resolver
        .turn(person("alice"))
        .send_stream("notes", put(Upload::from(vec![7; 4])));
    assert!(
        matches!(sent, Err(Error::Misconfigured(Misconfigured::NoUploads))),
        "{sent:?}"
    );
}

#[test]
fn a_download_that_breaks_off_ends_in_an_error_without_words_and_stays_there() {
    let world = connected();
    let turn = world.resolver.turn(person("alice"));
    let token = turn.resolve("notes").unwrap();
    let half = token.access_token().expose_secret().as_bytes()[..9].to_vec();
    let broken = io::Error::new(io::ErrorKind::ConnectionReset, "https://sandbox.test/?marker");
    let pieces = Pieces::of([b"clean ".to_vec(), half]).ending_in(broken);
    world.http.on("/api/file").next(Fault::answer(move |_| {
        Ok(HttpResponse::new(
            StatusCode::OK,
            Body::from_reader(pieces, Some(100)),
        ))
    }));
    let mut download = turn.send_stream("notes", get("/file")).unwrap().into_body();
    let mut read = Vec::new();
    let error = download.read_to_end(&mut read).unwrap_err();
    // The letters before it may also be the beginning of a token.
    assert!(
        read.len() > 2 && b"clean ".starts_with(&read),
        "what may be half a token is not given out: {read:?}"
    );
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(!format!("{error} {error:?} {download:?}").contains("marker"));
    assert!(error.get_ref().is_none());
    for _ in 0..2 {
        let again = download.read(&mut [0; 8]).unwrap_err();
        assert_eq!(
            again.kind(),
            io::ErrorKind::ConnectionReset,
            "it looks as if it had ended"
        );
    }
}

#[test]
fn a_download_ends_with_the_time_of_its_call() {
    let world = connected();
    let alice = person("alice");
    world.http.on("/api/file").next(Fault::answer(|_| {
        Ok(HttpResponse::new(
            StatusCode::OK,
            Body::from_reader(Endless(Instant::now()), None),
        ))
    }));
    let options = ResolveOptions::new("notes").deadline(Duration::from_secs(1));
    let begun = Instant::now();
    let response = world
        .resolver
        .turn(alice.clone())
        .send_stream(&options, get("/file"))
        .unwrap();
    // It never ends by itself, and each read returns data.
    let error = io::copy(&mut response.into_body(), &mut io::sink()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let options = ResolveOptions::new("notes").deadline(Duration::ZERO);
    let requests = world.http.requests();
    let late = world.resolver.turn(alice).send_stream(&options, get("/file"));
    assert!(matches!(late, Err(Error::Unavailable { .. })));
    assert_eq!(world.http.requests(), requests);
}

#[test]
fn a_stream_goes_nowhere_else_and_brings_no_credentials_of_its_own() {
    let world = connected();
    let alice = person("alice");
    let requests = world.http.requests();
    for address in [
        "https://evil.test/api/file",
        "https://sandbox.test/token",
        "http://sandbox.test/api/file",
    ] {
        let error = world
            .resolver
            .turn(alice.clone())
            .send_stream("notes", get(address))
            .unwrap_err();
        assert!(
            matches!(error, Error::Request(RequestRefused::Address)),
            "{address}"
        );
    }
    let own = Request::get("/file")
        .header(AUTHORIZATION, "Bearer x")
        .body(Upload::empty())
        .unwrap();
    let error = world
        .resolver
        .turn(alice.clone())
        .send_stream("notes", own)
        .unwrap_err();
    assert!(matches!(
        error,
        Error::Request(RequestRefused::ForeignCredentials)
    ));
    assert_eq!(world.http.requests(), requests);
    let moved = world
        .resolver
        .turn(alice.clone())
        .send_stream("notes", get("/redirect"))
        .unwrap();
    assert!(moved.status().is_redirection());
    assert_eq!(world.http.requests(), requests + 1);
    world
        .http
        .on("/api/file")
        .next(Fault::answer(|_| Err(HttpError::Interrupted)));
    assert!(
        world
            .resolver
            .turn(alice)
            .send_stream("notes", get("/file"))
            .unwrap_err()
            .is_retryable()
    );
}
