//! Which URLs may be used at all.

/// Which URLs descriptors and parameters may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `https` alone: everything outside a test.
    HttpsOnly,
    /// Plain `http` to `127.0.0.0/8`, `[::1]` and `localhost` as well, for sandboxes and tests.
    HttpsOrLoopback,
}
