//! Connects MCP servers by their URL.
//!
//! ```text
//! identity    what the host says about itself as a client
//! options     what it says about one consent
//! fetch       one bounded request to an address that a server named
//! discover    from the URL to the authorization server's metadata
//! client      the client there: known, a metadata document, or registered
//! define      the descriptors that follow from it, stored together
//! registering one registration at a time
//! renew       discovers again before a consent, and after a refused request
//! start       the call of a host
//! unregister  deletes the registration of a client that is removed
//! ```

mod client;
mod define;
mod discover;
mod fetch;
pub(crate) mod identity;
pub(crate) mod options;
pub(crate) mod registering;
pub(crate) mod renew;
pub(crate) mod start;
pub(crate) mod unregister;
