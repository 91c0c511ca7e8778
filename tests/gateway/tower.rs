//! The gateway as a service, under axum.

use std::future::ready;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use http::request::Parts;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::spawn_blocking;
use valetkey::ActingUser;
use valetkey::gateway::tower::{self, Work};
use valetkey::gateway::{Caller, Gateway, Mount, Refused};
use valetkey::model::EventKind;
use valetkey::testing::Host;

const BASE: &str = "/connections";

fn ada(head: &Parts) -> Result<Caller, Refused> {
    if head.headers.contains_key("x-panic") {
        panic!("the host's own mistake");
    }
    let ada = ActingUser::authenticated(Host::TENANT, "ada").map_err(|_| Refused::Forbidden)?;
    Ok(Caller::user(ada).explicit_credentials())
}

fn gateway(host: &Host, base: &str) -> Gateway {
    let mount = Mount::new("https://app.test").unwrap().under(base).unwrap();
    Gateway::new(host.connections.clone(), mount, ada)
}

/// A server that runs until it is dropped.
struct Server {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Server {
    fn of(app: Router) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_io()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            address,
            _runtime: runtime,
        }
    }

    /// Sends the head, then the body. Returns the status and the body of the response.
    fn send(&self, line: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!("{line} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        // The server may have answered and closed before the end of the body.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        (status.expect("a status"), body.unwrap_or_default())
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.send(&format!("GET {path}"), "", b"")
    }
}

/// Returns a response without its CSRF tokens, which differ each time.
fn without_token((status, body): (u16, String)) -> (u16, String) {
    let mut parts = body.split("name=\"csrf_token\" value=\"");
    let mut rest = parts.next().unwrap().to_owned();
    for part in parts {
        rest.push_str(part.split_once('"').unwrap().1);
    }
    (status, rest)
}

#[test]
fn every_page_is_the_same_behind_a_router_that_removes_the_prefix_and_one_that_does_not() {
    let host = Host::new();
    let connection = host.connect(&host.user("ada"), "notes");
    let gateway = gateway(&host, BASE);
    let nested = Server::of(
        Router::new()
            .route("/", get(|| async { "the host's own page" }))
            .nest_service(BASE, tower::service(gateway.clone(), spawn_blocking)),
    );
    let whole = Server::of(Router::new().fallback_service(tower::service(gateway.clone(), spawn_blocking)));
    for path in [
        "/".to_owned(),
        "/healthz".to_owned(),
        "/connect".to_owned(),
        "/v1/providers".to_owned(),
        "/v1/connections".to_owned(),
        format!("/v1/connections/{}", connection.id),
        format!("/connections/{}", connection.id),
        "/connections/unknown".to_owned(),
        format!("/connections/{}/revoke", connection.id),
        "/v1/connections/unknown".to_owned(),
        "/v1/connections?status=active".to_owned(),
    ] {
        let path = format!("{BASE}{path}");
        let direct = gateway.handle(Request::get(&path).body(Vec::new()).unwrap());
        let status = direct.status().as_u16();
        let expected = without_token((status, String::from_utf8(direct.into_body()).unwrap()));
        assert_eq!(without_token(nested.get(&path)), expected, "{path}");
        assert_eq!(without_token(whole.get(&path)), expected, "{path}");
    }
    assert_eq!(nested.get(BASE).0, 200);
    assert_eq!(nested.get("/"), (200, "the host's own page".to_owned()));
    assert!(!host.events.kinds().contains(&EventKind::OutsideMount));
}

#[test]
fn a_path_outside_the_mount_is_explained_and_reported() {
    let host = Host::new();
    let service = tower::service(gateway(&host, BASE), spawn_blocking);
    let server = Server::of(Router::new().fallback_service(service));
    let (status, body) = server.get("/elsewhere/v1/providers");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["error"]), (404, &"outside_mount".into()));
    assert_eq!(host.events.kinds(), [EventKind::OutsideMount]);
    // An unknown page below the mount is not outside the mount.
    let (status, body) = server.get(&format!("{BASE}/v1/nothing"));
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["error"]), (404, &"not_found".into()));
}

#[test]
fn a_base_path_like_one_of_the_gateways_own_is_told_apart_by_name() {
    let host = Host::new();
    let connection = host.connect(&host.user("ada"), "notes");
    let gateway = gateway(&host, "/v1");
    let path = format!("/v1/v1/connections/{}", connection.id);
    let service = tower::service(gateway, spawn_blocking);
    let ambiguous = Server::of(Router::new().nest_service("/v1", service.clone()));
    let told = Server::of(Router::new().nest_service("/v1", service.stripped()));
    assert!(ambiguous.get(&path).1.starts_with("<!doctype html>"));
    let (status, body) = told.get(&path);
    assert_eq!(status, 200);
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["id"], connection.id.to_string());
}

#[test]
fn a_body_is_read_up_to_the_limit_and_no_further() {
    let host = Host::new();
    let service = tower::service(gateway(&host, BASE), spawn_blocking);
    let server = Server::of(Router::new().nest_service(BASE, service));
    let post = |headers: &str, body: &[u8]| {
        let headers = format!("Content-Type: application/json\r\n{headers}");
        server.send(&format!("POST {BASE}/connect"), &headers, body)
    };
    let mut body = br#"{"provider":"notes"}"#.to_vec();
    let (status, answer) = post(&format!("Content-Length: {}\r\n", body.len()), &body);
    assert_eq!(status, 201, "{answer}");
    body.resize(64 * 1024, b' ');
    let (status, answer) = post(&format!("Content-Length: {}\r\n", body.len()), &body);
    assert_eq!(status, 201, "exactly the limit: {answer}");
    // The request announces ten gigabytes; the response arrives after the first 64 KiB.
    body.push(b' ');
    assert_eq!(post("Content-Length: 10000000000\r\n", &body).0, 413);
    let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n"].concat();
    assert_eq!(post("Transfer-Encoding: chunked\r\n", &chunked).0, 413);
}

#[test]
fn work_goes_through_the_spawner_and_its_failure_is_an_answer() {
    let host = Host::new();
    let gateway = gateway(&host, BASE);
    let spawned = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&spawned);
    let counting = move |work: Work| {
        count.fetch_add(1, Ordering::SeqCst);
        spawn_blocking(work)
    };
    let server = Server::of(Router::new().nest_service(BASE, tower::service(gateway.clone(), counting)));
    assert_eq!(server.get(&format!("{BASE}/healthz")).0, 200);
    let (status, body) = server.send(&format!("GET {BASE}/v1/providers"), "X-Panic: 1\r\n", b"");
    assert_eq!(status, 500);
    assert!(body.contains("\"error\":\"server_error\""), "{body}");
    assert_eq!(spawned.load(Ordering::SeqCst), 2);

    let refusing = |_: Work| ready(Err::<Response<Vec<u8>>, _>("the pool is full"));
    let server = Server::of(Router::new().nest_service(BASE, tower::service(gateway, refusing)));
    let (status, body) = server.get(&format!("{BASE}/healthz"));
    assert_eq!(status, 500);
    assert!(!body.contains("pool"), "{body}");
}
