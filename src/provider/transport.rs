//! The URL schemes that are allowed.

/// The URL schemes that descriptors and parameters may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Only `https`: everywhere outside a test.
    HttpsOnly,
    /// Also plain `http` to `127.0.0.0/8`, `[::1]` and `localhost`, for sandboxes and tests.
    HttpsOrLoopback,
}
