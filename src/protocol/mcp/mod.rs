//! Finds the authorization server of an MCP server and registers a client there: the requests and
//! the meaning of the answers, without I/O.
//!
//! * `resource` reads protected resource metadata
//!   ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728));
//! * `server` reads authorization server metadata
//!   ([RFC 8414](https://www.rfc-editor.org/rfc/rfc8414)) and OpenID Connect discovery documents;
//! * `register` writes client metadata and reads registrations
//!   ([RFC 7591](https://www.rfc-editor.org/rfc/rfc7591));
//! * `problem` names the mistakes of servers.

mod problem;
mod register;
mod resource;
mod server;

pub use problem::McpError;
pub use register::{ClientMetadata, Registered, parse_registration};
pub use resource::{Resource, canonical_resource, canonical_text, parse_resource, resource_metadata_urls};
pub use server::{ServerMetadata, management_url, parse_server, server_metadata_urls};

/// The largest document that is read, in bytes.
pub const MAX_DOCUMENT: usize = 64 * 1024;
