//! The routes of MCP servers without the feature `mcp`: they do not exist.

use crate::gateway::answer::Answer;
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};

impl Inner {
    #[expect(clippy::unused_self, reason = "the method of the feature `mcp`")]
    pub(in crate::gateway) fn mcp_page(&self, _: &Caller, _: &Incoming<'_>) -> Answer {
        Err(Refusal::not_found())
    }

    #[expect(clippy::unused_self, reason = "the method of the feature `mcp`")]
    pub(in crate::gateway) fn begin_mcp(&self, _: &Caller, _: &Incoming<'_>) -> Answer {
        Err(Refusal::not_found())
    }
}
