//! The pages shown in the browser. They never contain data from a request.

/// A complete response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// The connection was created.
    Done,
    /// The connection was not created.
    Failed,
    /// The callback does not belong to this consent.
    Unrelated,
    /// The request is not a callback.
    NotFound,
    /// The method of the request is not `GET`.
    Method,
    /// The request is not HTTP.
    Malformed,
    /// The request is too large.
    TooLarge,
    /// Too many requests are in progress.
    Busy,
}

impl Page {
    /// Returns the response as bytes to send.
    pub(super) fn response(self) -> String {
        let (status, text) = match self {
            Self::Done => (
                "200 OK",
                "The connection has been made. You can close this window.",
            ),
            Self::Failed => (
                "200 OK",
                "The connection has not been made. You can close this window and go back to the program.",
            ),
            Self::Unrelated => ("400 Bad Request", "This request belongs to no open consent."),
            Self::NotFound => ("404 Not Found", "There is nothing here."),
            Self::Method => (
                "405 Method Not Allowed\r\nAllow: GET",
                "Only GET is allowed here.",
            ),
            Self::Malformed => ("400 Bad Request", "This request cannot be read."),
            Self::TooLarge => (
                "431 Request Header Fields Too Large",
                "This request is too large.",
            ),
            Self::Busy => ("503 Service Unavailable", "Please try again."),
        };
        let html = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Connection</title><p>{text}</p></html>\n"
        );
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n\
             Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{html}",
            html.len()
        )
    }
}
