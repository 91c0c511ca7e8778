//! Streams of events (`text/event-stream`) from a reader.

use std::io::{self, Read};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{BoxStream, unfold};
use rmcp::transport::streamable_http_client::SseError;
use sse_stream::{Sse, SseStream};
use tokio::sync::mpsc;

/// The size of the buffer in which the body is read.
const PIECE: usize = 8 * 1024;

/// The number of pieces that are read before rmcp takes them.
const AHEAD: usize = 8;

/// Returns the events of a body, each of at most `max_event_size` bytes. The body is read on a
/// blocking thread until it ends, or until the stream is dropped and the next piece arrives.
pub(crate) fn stream(
    body: impl Read + Send + 'static,
    max_event_size: usize,
) -> BoxStream<'static, Result<Sse, SseError>> {
    let (sender, pieces) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || forward(body, max_event_size, &sender));
    let pieces = unfold(pieces, |mut pieces| async move {
        let piece: io::Result<Bytes> = pieces.recv().await?;
        Some((piece, pieces))
    });
    SseStream::from_bytes_stream(pieces).boxed()
}

fn forward(mut body: impl Read, max_event_size: usize, sender: &mpsc::Sender<io::Result<Bytes>>) {
    let mut buffer = vec![0; PIECE];
    let mut event = Event::default();
    loop {
        let piece = match body.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) if event.longest_with(&buffer[..length]) > max_event_size => {
                Err(io::ErrorKind::InvalidData.into())
            }
            Ok(length) => Ok(Bytes::copy_from_slice(&buffer[..length])),
            Err(error) => Err(error),
        };
        let is_last = piece.is_err();
        if sender.blocking_send(piece).is_err() || is_last {
            return;
        }
    }
}

/// The event that is being read: a blank line ends it.
#[derive(Default)]
struct Event {
    length: usize,
    at_line_start: bool,
}

impl Event {
    /// Returns the length of the longest event so far in this piece.
    fn longest_with(&mut self, piece: &[u8]) -> usize {
        let mut longest = self.length;
        for byte in piece {
            match byte {
                b'\n' if self.at_line_start => *self = Self::default(),
                b'\r' => {}
                byte => {
                    self.at_line_start = *byte == b'\n';
                    self.length += 1;
                    longest = longest.max(self.length);
                }
            }
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn events(body: &'static [u8], limit: usize) -> Vec<Result<String, ()>> {
        let events = stream(body, limit);
        let texts = events.map(|event| event.map(|event| event.data.unwrap_or_default()).map_err(drop));
        texts.collect().await
    }

    #[tokio::test]
    async fn events_are_read_whatever_their_line_ends() {
        let body = b"data: one\n\ndata: two\r\n\r\n: comment\n\ndata: three\n\n";
        let found = events(body, 100).await;
        let found: Vec<_> = found
            .into_iter()
            .flatten()
            .filter(|text| !text.is_empty())
            .collect();
        assert_eq!(found, ["one", "two", "three"]);
    }

    #[tokio::test]
    async fn an_event_that_is_too_large_ends_the_stream_and_many_small_ones_do_not() {
        let large = events(b"data: 0123456789012345678901234567890\n\n", 20).await;
        assert!(large.iter().any(Result::is_err), "{large:?}");
        let small = events(b"data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n", 20).await;
        assert_eq!(small.iter().flatten().count(), 4);
    }
}
