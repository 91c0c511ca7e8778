//! Starts a consent for the MCP server at a URL.

use crate::engine::Context;
use crate::engine::consent::options::Consent;
use crate::engine::consent::start;
use crate::engine::mcp::define::define;
use crate::engine::mcp::discover::Wish;
use crate::engine::mcp::options::McpOptions;
use crate::error::Result;
use crate::model::{ActingUser, Owner};
use crate::protocol::mcp::canonical_resource;

/// Discovers the server, registers a client if necessary, and starts the consent.
pub(crate) fn start(
    cx: &Context,
    acting_user: &ActingUser,
    owner: Owner,
    url: &str,
    options: McpOptions,
) -> Result<Consent> {
    let url = canonical_resource(url, cx.registry.transport())?;
    let wish = Wish {
        issuer: options.issuer.as_deref(),
        other_hosts: options.other_hosts,
    };
    let provider = define(cx, acting_user.tenant(), &url, wish, options.client)?;
    start::start_defined(cx, acting_user, owner, provider.as_str(), options.consent)
}
