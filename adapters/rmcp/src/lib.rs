//! Connects an [`rmcp`] client to an MCP server as the user of a [`Turn`].
//!
//! rmcp writes and reads the messages; the turn sends the requests. rmcp therefore holds neither an
//! access token nor a refresh token: the turn sets the header, refreshes the token if the server
//! refuses it, masks every token in the answers, and reports what is missing as
//! [`Error::ConsentRequired`]. [`error_of`] finds that error in an error of rmcp.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use rmcp::ServiceExt as _;
//! use rmcp::model::CallToolRequestParams;
//! use valetkey::{ActingUser, Error, Resolver};
//! use valetkey_rmcp::TurnClient;
//!
//! # type Outcome = Result<(), Box<dyn std::error::Error>>;
//! # async fn tools(resolver: Resolver, alice: ActingUser) -> Outcome {
//! let turn = Arc::new(resolver.turn(alice));
//! let transport = TurnClient::new(Arc::clone(&turn), "mcp").transport("https://mcp.example/mcp");
//! let service = ().serve(transport).await?;
//! match service.call_tool(CallToolRequestParams::new("whoami")).await {
//!     Ok(answer) => println!("{answer:?}"),
//!     Err(error) => match valetkey_rmcp::error_of(&error) {
//!         Some(Error::ConsentRequired(need)) => println!("{}", turn.ask(need)?.message()),
//!         _ => return Err(error.into()),
//!     },
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Bounds
//!
//! A request runs on a thread of tokio's blocking pool. An answer that is a stream of events keeps
//! its thread until it ends, and it ends after the time limits of
//! [`Turn::send_stream`]; rmcp opens such a stream again. A runtime that is dropped waits for these
//! threads; `Runtime::shutdown_background` does not.

mod answer;
mod events;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::io::Cursor;
use std::sync::Arc;

use futures::stream::BoxStream;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::common::http_header::{
    EVENT_STREAM_MIME_TYPE, HEADER_LAST_EVENT_ID, HEADER_SESSION_ID, JSON_MIME_TYPE,
};
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, SseError, StreamableHttpClient, StreamableHttpClientTransport,
    StreamableHttpClientTransportConfig, StreamableHttpError, StreamableHttpPostResponse,
    StreamableHttpResponseLimits,
};
use sse_stream::Sse;
use valetkey::Error;
use valetkey::resolver::{Download, Turn, Upload};

type Failure = StreamableHttpError<Error>;

/// An HTTP client of rmcp that sends requests through a turn.
#[derive(Clone)]
pub struct TurnClient {
    turn: Arc<Turn>,
    provider: Arc<str>,
}

impl TurnClient {
    /// Creates a client for the MCP server of this provider, as the user of the turn.
    pub fn new(turn: Arc<Turn>, provider: impl Into<Arc<str>>) -> Self {
        Self {
            turn,
            provider: provider.into(),
        }
    }

    /// Returns a transport to the MCP server at this URL, which must be one of the provider's API
    /// hosts.
    #[must_use]
    pub fn transport(self, url: impl Into<Arc<str>>) -> StreamableHttpClientTransport<Self> {
        let config = StreamableHttpClientTransportConfig::with_uri(url);
        StreamableHttpClientTransport::with_client(self, config)
    }

    /// Sends a request on a blocking thread. The authorization header that rmcp may be configured
    /// with is ignored: only the turn says who is calling.
    async fn send(&self, request: Request) -> Result<http::Response<Download>, Failure> {
        let (turn, provider) = (Arc::clone(&self.turn), Arc::clone(&self.provider));
        let request = request.into_http()?;
        let sent = tokio::task::spawn_blocking(move || turn.send_stream(&*provider, request)).await?;
        let answer = sent.map_err(StreamableHttpError::Client)?;
        if answer.status() == http::StatusCode::UNAUTHORIZED {
            // The turn has tried what it could. The server's text stays out of the error.
            let error = AuthRequiredError::new("Bearer".to_owned());
            return Err(StreamableHttpError::AuthRequired(error));
        }
        Ok(answer)
    }
}

impl fmt::Debug for TurnClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnClient")
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// Returns the error of the turn that caused an error of rmcp, if there is one.
#[must_use]
pub fn error_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    let mut cause = Some(error);
    while let Some(current) = cause {
        let of_client = match current.downcast_ref::<Failure>() {
            Some(StreamableHttpError::Client(error)) => Some(error),
            _ => current.downcast_ref::<Error>(),
        };
        if of_client.is_some() {
            return of_client;
        }
        cause = match current.downcast_ref::<rmcp::service::ServiceError>() {
            Some(rmcp::service::ServiceError::TransportSend(sent)) => Some(sent.error.as_ref()),
            _ => current.source(),
        };
    }
    None
}

/// A request of rmcp.
struct Request {
    method: Method,
    url: Arc<str>,
    accept: &'static str,
    session: Option<Arc<str>>,
    last_event: Option<String>,
    headers: HashMap<HeaderName, HeaderValue>,
    body: Vec<u8>,
}

impl Request {
    fn new(method: Method, url: Arc<str>, headers: HashMap<HeaderName, HeaderValue>) -> Self {
        Self {
            method,
            url,
            accept: "application/json, text/event-stream",
            session: None,
            last_event: None,
            headers,
            body: Vec::new(),
        }
    }

    fn into_http(self) -> Result<http::Request<Upload>, Failure> {
        let mut request = http::Request::builder().method(self.method).uri(&*self.url);
        request = request.header(ACCEPT, self.accept);
        if let Some(session) = &self.session {
            request = request.header(HEADER_SESSION_ID, &**session);
        }
        if let Some(id) = &self.last_event {
            request = request.header(HEADER_LAST_EVENT_ID, id);
        }
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, JSON_MIME_TYPE);
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let body = self.body;
        let upload = Upload::new(body.len() as u64, move || Ok(Cursor::new(body.clone())));
        request.body(upload).map_err(|_| {
            StreamableHttpError::UnexpectedServerResponse("the request is not valid HTTP".into())
        })
    }
}

impl StreamableHttpClient for TurnClient {
    type Error = Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(uri, message, session_id, auth_header, custom_headers, limits)
            .await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let had_session = session_id.is_some();
        let answer = self
            .send(Request {
                session: session_id,
                body: serde_json::to_vec(&message)?,
                ..Request::new(Method::POST, uri, custom_headers)
            })
            .await?;
        answer::of_post(answer, &message, had_session, limits).await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        let answer = self
            .send(Request {
                session: Some(session_id),
                ..Request::new(Method::DELETE, uri, custom_headers)
            })
            .await?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            http::StatusCode::METHOD_NOT_ALLOWED => {
                Err(StreamableHttpError::ServerDoesNotSupportDeleteSession)
            }
            status => Err(answer::unexpected(status)),
        }
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        let limit = StreamableHttpResponseLimits::default().max_sse_event_size;
        self.get_stream_with_max_sse_event_size(
            uri,
            session_id,
            last_event_id,
            auth_header,
            custom_headers,
            limit,
        )
        .await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        max_sse_event_size: usize,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        let answer = self
            .send(Request {
                accept: EVENT_STREAM_MIME_TYPE,
                session: session_id,
                last_event: last_event_id,
                ..Request::new(Method::GET, uri, custom_headers)
            })
            .await?;
        match answer.status() {
            http::StatusCode::METHOD_NOT_ALLOWED => Err(StreamableHttpError::ServerDoesNotSupportSse),
            status if !status.is_success() => Err(answer::unexpected(status)),
            _ if answer::is_event_stream(answer.headers()) => {
                Ok(events::stream(answer.into_body(), max_sse_event_size))
            }
            _ => Err(StreamableHttpError::UnexpectedContentType(None)),
        }
    }
}
