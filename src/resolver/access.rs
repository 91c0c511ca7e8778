//! One access to a service: the acting user, the requirements and the state of the turn.

use std::fmt;
use std::sync::Arc;

use crate::connections::Connections;
use crate::engine::{Context, Engine};
use crate::model::ActingUser;
use crate::resolver::ledger::Ledger;
use crate::resolver::memory::Memory;
use crate::resolver::options::ResolveOptions;
use crate::resolver::policy::Policy;
use crate::trace::About;

/// The state shared by a resolver, its clones and their turns.
pub(super) struct Common {
    pub(super) connections: Connections,
    pub(super) engine: Arc<Engine>,
    pub(super) policy: Policy,
    pub(super) memory: Arc<Memory>,
}

impl fmt::Debug for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Common")
            .field("connections", &self.connections)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// One access of an acting user to a service. Every step of a resolution takes it.
#[derive(Clone, Copy)]
pub(super) struct Access<'a> {
    pub(super) common: &'a Common,
    pub(super) acting_user: &'a ActingUser,
    pub(super) ledger: &'a Ledger,
    pub(super) options: &'a ResolveOptions<'a>,
}

impl<'a> Access<'a> {
    pub(super) fn cx(&self) -> &'a Context {
        &self.common.engine
    }

    /// Returns the span fields of this access.
    pub(super) fn about(&self) -> About<'a> {
        self.cx().about(self.acting_user, &self.options.provider)
    }
}
