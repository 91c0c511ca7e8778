//! A small HTTP server on loopback for a synchronous handler.

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use http::{HeaderName, HeaderValue, Method};
use tiny_http::{Header, Response, Server};
use url::Url;
use valetkey::http::{HttpRequest, HttpResponse};

/// A bound port, whose address is known before it serves requests.
pub struct Loopback {
    listener: TcpListener,
    host: &'static str,
    port: u16,
}

impl Loopback {
    /// Binds a port, or any free one for 0. `host` is the name in its URL: `127.0.0.1` or
    /// `localhost`.
    pub fn bind(host: &'static str, port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, host, port })
    }

    /// Returns the origin, such as `http://127.0.0.1:49152`.
    pub fn origin(&self) -> String {
        format!("http://{}:{}", self.host, self.port)
    }

    /// Serves requests from a thread until the process ends.
    pub fn serve(self, handle: impl Fn(HttpRequest) -> HttpResponse + Send + Sync + 'static) {
        let origin = Url::parse(&self.origin()).expect("an origin is a URL");
        let server = Server::from_listener(self.listener, None).expect("the listener is bound");
        let handle = Arc::new(handle);
        thread::spawn(move || {
            for request in server.incoming_requests() {
                let handle = Arc::clone(&handle);
                let origin = origin.clone();
                thread::spawn(move || answer(request, &origin, handle.as_ref()));
            }
        });
    }
}

fn answer(mut request: tiny_http::Request, origin: &Url, handle: &dyn Fn(HttpRequest) -> HttpResponse) {
    let Some(incoming) = read(&mut request, origin) else {
        let _ = request.respond(Response::empty(400));
        return;
    };
    let outgoing = handle(incoming);
    let mut response =
        Response::from_data(outgoing.body.as_bytes().to_vec()).with_status_code(outgoing.status.as_u16());
    for (name, value) in &outgoing.headers {
        if let Ok(header) = Header::from_bytes(name.as_str(), value.as_bytes()) {
            response.add_header(header);
        }
    }
    let _ = request.respond(response);
}

fn read(request: &mut tiny_http::Request, origin: &Url) -> Option<HttpRequest> {
    // Joined as text: a target such as `//evil.test/` must stay a path.
    let url = Url::parse(&format!(
        "{}{}",
        origin.as_str().trim_end_matches('/'),
        request.url()
    ))
    .ok()?;
    let method = Method::from_bytes(request.method().as_str().as_bytes()).ok()?;
    let mut incoming = HttpRequest::new(method, url);
    for header in request.headers() {
        let name = HeaderName::from_bytes(header.field.as_str().as_str().as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(header.value.as_str().as_bytes()).ok()?;
        incoming.headers.append(name, value);
    }
    let mut body = Vec::new();
    request.as_reader().take(64 * 1024).read_to_end(&mut body).ok()?;
    Some(incoming.with_body(body))
}
