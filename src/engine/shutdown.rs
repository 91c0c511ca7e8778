//! Writes pending data when the last handle of the engine is dropped.

use std::ops::Deref;

use crate::engine::Context;
use crate::engine::refresh::commit;
use crate::engine::uses;

/// The engine of a host. It writes data still in memory when its last handle is dropped.
pub(crate) struct Engine(Context);

impl Engine {
    pub(crate) const fn new(context: Context) -> Self {
        Self(context)
    }
}

impl Deref for Engine {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.0
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The host is shutting down. Fetched tokens are worth one more attempt to store them, and
        // uses are worth one write.
        let _ = commit::save_all_unsaved(&self.0);
        let _ = uses::record_gathered(&self.0);
    }
}
