//! Sends and receives 64 MiB over a socket with the default client, in little memory.

use std::alloc::System;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use http::Request;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use valetkey::http::{HttpClient as _, HttpRequest, UreqClient};
use valetkey::resolver::{Turn, Upload};
use valetkey::testing::Host;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SIZE: usize = 64 * 1024 * 1024;

/// The memory limit for both sides of the socket, the masks and the test together.
const WINDOW: usize = 2 * 1024 * 1024;

fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated)
}

/// The maximum allocation above a baseline, at the sampled moments.
#[derive(Debug)]
struct Peak {
    began: usize,
    most: AtomicUsize,
}

impl Peak {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            began: live(),
            most: AtomicUsize::new(0),
        })
    }

    fn look(&self) {
        self.most
            .fetch_max(live().saturating_sub(self.began), Ordering::Relaxed);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

/// A reader that samples the memory at each read.
struct Watched<R>(R, Arc<Peak>);

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.look();
        self.0.read(buffer)
    }
}

/// Serves `PUT` by counting, and `GET` by 64 MiB that end in the token of the request, split
/// between two writes.
fn serve(listener: TcpListener) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let head = read_head(&mut stream);
        let value = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        if head.starts_with("PUT ") {
            let length: u64 = value("content-length:").parse().unwrap();
            let read = io::copy(&mut (&stream).take(length), &mut io::sink()).unwrap();
            let text = read.to_string();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
                text.len()
            )
            .unwrap();
        } else {
            let token = value("authorization: Bearer");
            let chunk = vec![b'x'; 64 * 1024];
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                SIZE + token.len()
            )
            .unwrap();
            for _ in 0..SIZE / chunk.len() {
                stream.write_all(&chunk).unwrap();
            }
            let (one, other) = token.split_at(token.len() / 2);
            stream.write_all(one.as_bytes()).unwrap();
            stream.flush().unwrap();
            stream.write_all(other.as_bytes()).unwrap();
        }
    }
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = String::new();
    let mut byte = [0];
    while !head.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(char::from(byte[0]));
    }
    head
}

/// Returns a turn of a user connected to a service on this machine: its API over the socket, the
/// rest in process.
fn turn() -> Turn {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || serve(listener));
    let api = UreqClient::new().dangerous_loopback_http();
    let host = Host::builder().at(origin).connections(|sandbox, builder| {
        let inner = sandbox.clone();
        builder.http_client(move |request: HttpRequest| {
            if request.url.path().starts_with("/api/") {
                api.send(request)
            } else {
                inner.send(request)
            }
        })
    });
    let host = host.build().unwrap();
    let alice = host.user("alice");
    host.connect(&alice, "notes");
    host.resolver.turn(alice)
}

// A single test: a concurrent one would be counted in the same memory.
#[test]
fn sixty_four_mebibytes_pass_in_both_directions_through_a_small_window() {
    let turn = turn();
    turn.resolve("notes").unwrap();

    let peak = Peak::new();
    let watching = Arc::clone(&peak);
    let upload = Upload::new(SIZE as u64, move || {
        Ok(Watched(io::repeat(b'x').take(SIZE as u64), Arc::clone(&watching)))
    });
    let response = turn
        .send_stream("notes", Request::put("/file").body(upload).unwrap())
        .unwrap();
    let mut counted = String::new();
    response.into_body().read_to_string(&mut counted).unwrap();
    assert_eq!(counted, SIZE.to_string());
    assert!(
        peak.most() > 0 && peak.most() < WINDOW,
        "up: {} bytes",
        peak.most()
    );

    let peak = Peak::new();
    let request = Request::get("/file").body(Upload::empty()).unwrap();
    let response = turn.send_stream("notes", request).unwrap();
    assert!(response.body().announced().unwrap() > SIZE as u64);
    let mut body = Watched(response.into_body(), Arc::clone(&peak));
    let (mut size, mut end, mut buffer) = (0, Vec::new(), [0; 32 * 1024]);
    loop {
        let read = body.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        size += read;
        end.extend_from_slice(&buffer[..read]);
        end.drain(..end.len().saturating_sub(20));
    }
    assert_eq!(size, SIZE + "[redacted]".len());
    assert_eq!(end, b"xxxxxxxxxx[redacted]");
    assert!(
        peak.most() > 0 && peak.most() < WINDOW,
        "down: {} bytes",
        peak.most()
    );
}
