//! The default client against servers on this machine.

mod public;
mod tls;

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use http::{Method, StatusCode};
use url::Url;

use super::*;

/// Serves one connection; the thread returns the request.
fn serve(answer: impl FnOnce(&mut TcpStream) + Send + 'static) -> (Url, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token?p=1", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let asked = read_request(&mut stream);
        answer(&mut stream);
        asked
    });
    (Url::parse(&url).unwrap(), server)
}

/// Reads the head, and as much of a body as the head announces.
fn read_request(stream: &mut TcpStream) -> String {
    let mut asked = String::new();
    let mut byte = [0];
    let mut body = None;
    while body != Some(0) {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            break;
        }
        asked.push(char::from(byte[0]));
        body = match body {
            Some(left) => Some(left - 1),
            None if asked.ends_with("\r\n\r\n") => {
                let length = asked
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                Some(length.map_or(0, |length| length.parse::<usize>().unwrap()))
            }
            None => None,
        };
    }
    asked
}

fn post(url: &Url) -> HttpRequest {
    let mut request = HttpRequest::new(Method::POST, url.clone()).with_body("refresh_token=r");
    request.timeout = Duration::from_secs(5);
    request
}

fn send(request: HttpRequest) -> Result<HttpResponse, HttpError> {
    UreqClient::new().dangerous_loopback_http().send(request)
}

#[test]
fn a_request_goes_out_whole_and_the_answer_comes_back_whatever_its_status() {
    let (url, server) = serve(|stream| {
        stream
            .write_all(b"HTTP/1.1 403 Forbidden\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}")
            .unwrap();
    });
    let request = post(&url)
        .with_secret_header(http::header::AUTHORIZATION, b"Basic eA==".to_vec().into())
        .unwrap();
    let response = send(request).unwrap();
    assert_eq!(response.status, StatusCode::FORBIDDEN);
    assert_eq!(response.headers["retry-after"], "7");
    assert_eq!(response.body.as_bytes(), b"{}");
    let asked = server.join().unwrap();
    assert!(asked.starts_with("POST /token?p=1 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Basic eA==\r\n"), "{asked}");
    assert!(!asked.contains("transfer-encoding"), "{asked}");
    assert_eq!(asked.matches("content-length: 15\r\n").count(), 1, "{asked}");
    assert!(asked.ends_with("\r\n\r\nrefresh_token=r"), "{asked}");
}

#[test]
fn a_get_has_no_body() {
    let (url, server) = serve(|stream| {
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    });
    let response = send(HttpRequest::new(Method::GET, url)).unwrap();
    assert_eq!(response.status, StatusCode::NO_CONTENT);
    let asked = server.join().unwrap();
    assert!(
        asked.starts_with("GET ") && !asked.contains("content-length"),
        "{asked}"
    );
}

// A server may wait for a body unless the request declares it empty.
#[test]
fn an_empty_body_is_announced_where_a_body_is_expected() {
    for (method, announced) in [
        ("POST", true),
        ("PUT", true),
        ("PATCH", true),
        ("GET", false),
        ("DELETE", false),
        ("HEAD", false),
        ("OPTIONS", false),
        ("PROPFIND", false),
    ] {
        let (url, server) = serve(|stream| {
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        });
        let mut request = HttpRequest::new(method.parse().unwrap(), url);
        request.timeout = Duration::from_secs(5);
        assert_eq!(send(request).unwrap().status.as_u16(), 204, "{method}");
        let asked = server.join().unwrap();
        assert_eq!(asked.contains("content-length: 0\r\n"), announced, "{asked}");
        assert!(!asked.contains("transfer-encoding"), "{asked}");
    }
}

#[test]
fn an_answer_with_too_many_headers_is_told_apart_from_a_broken_one() {
    for (count, value, expected) in [
        (100, "x".to_owned(), Ok(200)),
        (200, "x".to_owned(), Err(HttpError::HeadTooLarge)),
        (10, "x".repeat(10_000), Err(HttpError::HeadTooLarge)),
    ] {
        let (url, server) = serve(move |stream| {
            let headers: String = (0..count)
                .map(|number| format!("x-{number}: {value}\r\n"))
                .collect();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{headers}\r\n");
            // This may fail once the client has given up.
            let _ = stream.write_all(head.as_bytes());
        });
        assert_eq!(send(post(&url)).map(|answer| answer.status.as_u16()), expected);
        server.join().unwrap();
    }
}

#[test]
fn methods_of_extensions_go_out_with_and_without_a_body() {
    for method in ["PROPFIND", "REPORT", "MKCOL", "COPY", "QUERY"] {
        for body in ["", "<propfind/>"] {
            let (url, server) = serve(|stream| {
                stream
                    .write_all(b"HTTP/1.1 207 Multi-Status\r\ncontent-length: 0\r\n\r\n")
                    .unwrap();
            });
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let mut request = HttpRequest::new(method.clone(), url);
            if !body.is_empty() {
                request = request.with_body(body);
            }
            request.timeout = Duration::from_secs(5);
            assert_eq!(send(request).unwrap().status.as_u16(), 207, "{method}");
            let asked = server.join().unwrap();
            assert!(asked.starts_with(method.as_str()), "{asked}");
            assert!(asked.ends_with(body), "{asked}");
        }
    }
}

#[test]
fn promise_22_a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/", elsewhere.local_addr().unwrap());
    let (url, server) = serve(move |stream| {
        let head = format!("HTTP/1.1 307 T\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
    });
    let response = send(post(&url)).unwrap();
    assert_eq!(response.status, StatusCode::TEMPORARY_REDIRECT);
    server.join().unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    assert_eq!(elsewhere.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn promise_22_an_answer_of_one_byte_too_many_is_refused() {
    for (length, ok) in [(1000, true), (1001, false)] {
        let (url, server) = serve(move |stream| {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&vec![b'x'; length]).unwrap();
        });
        let mut request = post(&url);
        request.max_response_bytes = Some(1000);
        let found = send(request).map(|response| response.body.len());
        assert_eq!(found, if ok { Ok(1000) } else { Err(HttpError::TooLarge) });
        server.join().unwrap();
    }
}

#[test]
fn promise_22_an_answer_that_drips_ends_in_time() {
    let (url, server) = serve(|stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            .unwrap();
        // Writes until the client hangs up: each byte arrives well within the limit of a single
        // read.
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
    });
    let mut request = post(&url);
    request.timeout = Duration::from_millis(200);
    let begun = Instant::now();
    assert_eq!(send(request).unwrap_err(), HttpError::Timeout);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    server.join().unwrap();
}

#[test]
fn a_server_that_says_nothing_times_out() {
    let (url, server) = serve(|stream| {
        // Returns when the client has hung up.
        drop(stream.read(&mut [0]));
    });
    let mut request = post(&url);
    request.timeout = Duration::from_millis(200);
    assert_eq!(send(request).unwrap_err(), HttpError::Timeout);
    server.join().unwrap();
}

fn stream(request: &mut HttpRequest, idle: Duration) {
    request.timeout = Duration::from_secs(60);
    request.idle_timeout = Some(idle);
    request.max_response_bytes = None;
}

#[test]
fn a_stream_that_stands_still_times_out_long_before_the_whole_is_over() {
    let (url, server) = serve(|stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
            .unwrap();
        // Returns when the client has hung up.
        drop(stream.read(&mut [0]));
    });
    let mut request = post(&url);
    stream(&mut request, Duration::from_millis(200));
    let begun = Instant::now();
    let response = UreqClient::new().dangerous_loopback_http().send(request).unwrap();
    assert_eq!(response.body.length(), Some(9));
    let mut read = Vec::new();
    let error = response.body.into_reader().read_to_end(&mut read).unwrap_err();
    assert_eq!(
        (error.kind(), read.as_slice()),
        (io::ErrorKind::TimedOut, &b"abc"[..])
    );
    assert!(begun.elapsed() < Duration::from_secs(60));
    server.join().unwrap();
}

#[test]
fn a_stream_that_is_cut_short_ends_in_an_error() {
    let (url, server) = serve(|stream| {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc";
        stream.write_all(answer).unwrap();
    });
    let mut request = post(&url);
    stream(&mut request, Duration::from_secs(5));
    let response = UreqClient::new().dangerous_loopback_http().send(request).unwrap();
    assert!(response.body.into_reader().read_to_end(&mut Vec::new()).is_err());
    server.join().unwrap();
}

#[test]
fn a_body_that_is_a_reader_goes_out_with_its_length() {
    let (url, server) = serve(|stream| {
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    });
    let body = |length| Body::from_reader(&b"0123456789"[..], length);
    assert_eq!(
        send(post(&url).with_body(body(None))).unwrap_err(),
        HttpError::Refused
    );
    send(post(&url).with_body(body(Some(10)))).unwrap();
    let asked = server.join().unwrap();
    assert!(
        asked.contains("content-length: 10\r\n") && asked.ends_with("\r\n\r\n0123456789"),
        "{asked}"
    );
}

#[test]
fn what_breaks_after_the_request_leaves_the_outcome_open() {
    let answers: [(&[u8], HttpError); 3] = [
        (b"", HttpError::Interrupted),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
            HttpError::Interrupted,
        ),
        (b"SSH-2.0-x\r\n\r\n", HttpError::Protocol),
    ];
    for (answer, kind) in answers {
        let (url, server) = serve(|stream| stream.write_all(answer).unwrap());
        assert_eq!(send(post(&url)).unwrap_err(), kind, "{answer:?}");
        server.join().unwrap();
    }
}

#[test]
fn what_never_connects_is_unsent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    assert_eq!(send(post(&url)).unwrap_err(), HttpError::Connect);
    let get = HttpRequest::new(Method::GET, url);
    assert_eq!(send(get).unwrap_err(), HttpError::Connect);
}

#[test]
fn a_failed_handshake_is_unsent() {
    for answer in [&b"this is not TLS at all, not by any means"[..], b""] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).unwrap();
            // This may fail once the client has given up; the test checks only what the client
            // sees.
            drop(stream.write_all(answer));
        });
        assert_eq!(
            send(post(&Url::parse(&url).unwrap())).unwrap_err(),
            HttpError::Tls
        );
        server.join().unwrap();
    }
}

#[test]
fn promise_22_plain_http_is_refused_before_any_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let loopback = format!("http://{}/", listener.local_addr().unwrap());
    for (client, url) in [
        (UreqClient::new(), loopback.as_str()),
        (UreqClient::new().dangerous_loopback_http(), "http://192.0.2.1/"),
        (
            UreqClient::new().dangerous_loopback_http(),
            "http://localhost.example/",
        ),
        (UreqClient::new().dangerous_loopback_http(), "ftp://127.0.0.1/"),
        (
            UreqClient::new().dangerous_loopback_http(),
            "http://user@127.0.0.1/",
        ),
        (UreqClient::new(), "data:text/plain,x"),
    ] {
        let error = client.send(post(&Url::parse(url).unwrap())).unwrap_err();
        assert_eq!(error, HttpError::Refused, "{url}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}
