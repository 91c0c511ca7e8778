//! The gateway as a [tower](https://docs.rs/tower) service, for axum and other asynchronous
//! servers.
//!
//! ```
//! use axum::Router;
//! use http::request::Parts;
//! use valetkey::ActingUser;
//! use valetkey::gateway::{Caller, Gateway, Mount, Refused, tower};
//! # use valetkey::testing::Host;
//! # fn session_user(_: &Parts) -> Option<String> { None }
//!
//! # let connections = Host::new().connections;
//! let mount = Mount::new("https://agent.example")?.under("/connections")?;
//! let gateway = Gateway::new(connections, mount, |head: &Parts| {
//!     let user = session_user(head).ok_or(Refused::Unauthenticated)?;
//!     let user = ActingUser::authenticated("acme", user).map_err(|_| Refused::Forbidden)?;
//!     Ok(Caller::user(user))
//! });
//! let app: Router = Router::new()
//!     .nest_service("/connections", tower::service(gateway, tokio::task::spawn_blocking));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tower_service::Service;
use zeroize::Zeroizing;

use crate::gateway::Gateway;

/// The work of the gateway for one request. It may block on the vault and on a provider, for a
/// bounded time.
pub type Work = Box<dyn FnOnce() -> Response<Vec<u8>> + Send>;

/// Returns a service that wraps a gateway. `spawn` runs work where blocking is allowed and returns
/// a future of its result, as `tokio::task::spawn_blocking` does. The service needs no runtime of
/// its own.
///
/// The service works both where paths keep the base path of the [`Mount`](super::Mount) (axum's
/// `route_service`, a fallback) and where a router removes it (axum's `nest_service`). If a path
/// names a page of the gateway below the mount, it is used unchanged; otherwise the service assumes
/// that the base path was removed. A path that fits neither way is answered with 404 and the code
/// `outside_mount`, and reported as
/// [`EventKind::OutsideMount`](crate::model::EventKind::OutsideMount) until a request has reached
/// the gateway. A base path that begins like one of the gateway's own paths, such as `/v1`, is
/// ambiguous behind `nest_service`: call [`stripped`](GatewayService::stripped).
///
/// The service stops reading a body that exceeds the gateway's limit and answers 413. Work that
/// panics or is not run is answered with 500.
pub const fn service<S>(gateway: Gateway, spawn: S) -> GatewayService<S> {
    GatewayService {
        gateway,
        spawn,
        handle: Gateway::handle_either,
    }
}

type Handle = fn(&Gateway, Request<Vec<u8>>) -> Response<Vec<u8>>;

/// A gateway as a [`Service`]: see [`service`].
#[derive(Clone)]
pub struct GatewayService<S> {
    gateway: Gateway,
    spawn: S,
    handle: Handle,
}

impl<S> GatewayService<S> {
    /// Treats every path as one whose base path was removed, as [`Gateway::handle_stripped`] does.
    #[must_use]
    pub fn stripped(mut self) -> Self {
        self.handle = Gateway::handle_stripped;
        self
    }
}

impl<S> fmt::Debug for GatewayService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayService")
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}

impl<S, F, E, B> Service<Request<B>> for GatewayService<S>
where
    S: Fn(Work) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<Vec<u8>>, E>> + Send,
    E: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self {
            gateway,
            spawn,
            handle,
        } = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            // One byte more than the limit tells the gateway that the body is too large.
            let Some(body) = read(body, gateway.inner.max_body + 1).await else {
                return Ok(failure(StatusCode::BAD_REQUEST, UNREADABLE));
            };
            let request = Request::from_parts(head, body);
            let work: Work = Box::new(move || handle(&gateway, request));
            Ok(match spawn(work).await {
                Ok(response) => response.map(|body| Full::new(Bytes::from(body))),
                Err(_) => failure(StatusCode::INTERNAL_SERVER_ERROR, NOT_DONE),
            })
        })
    }
}

const UNREADABLE: &str =
    r#"{"error":"invalid_request","error_description":"The body of the request cannot be read."}"#;
const NOT_DONE: &str = r#"{"error":"server_error","error_description":"The request was not completed."}"#;

/// Reads a body up to the limit. Returns `None` if it breaks off.
async fn read(body: impl Body, limit: usize) -> Option<Vec<u8>> {
    let mut body = pin!(body);
    // The body may hold a code. The announced size is reserved, because a buffer that grows leaves
    // copies behind.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(limit);
    let mut read = Zeroizing::new(Vec::with_capacity(announced.min(limit)));
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame.ok()?.into_data() else {
            continue;
        };
        while data.has_remaining() && read.len() < limit {
            let chunk = data.chunk();
            let len = chunk.len().min(limit - read.len());
            read.extend_from_slice(chunk.get(..len)?);
            data.advance(len);
        }
        if read.len() == limit {
            break;
        }
    }
    Some(std::mem::take(&mut *read))
}

fn failure(status: StatusCode, json: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(json.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
