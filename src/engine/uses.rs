//! Records token uses, collected in memory and written in batches.
//!
//! A commit costs a hundred times as much as reading a token, so `resolve` does not write and
//! `peek` never does. `maintain` and dropping the last handle write the collected uses. A `resolve`
//! writes a batch only if 8,192 uses have accumulated because `maintain` is not called. A crash
//! loses the uses that were not written; a host that must not lose any calls
//! [`Settings::strict_use_audit`](crate::connections::Settings::strict_use_audit).

use crate::engine::Context;
use crate::engine::settings::UseAudit;
use crate::engine::usage::{BATCH, Handed};
use crate::vault::{TokenUse, UseRecord, VaultError};

/// Writes these uses in one transaction, according to the host's settings.
pub(crate) fn record(cx: &Context, uses: &[TokenUse]) -> Result<(), VaultError> {
    let record = match cx.settings.use_audit {
        UseAudit::Off => UseRecord::Times,
        UseAudit::Batched | UseAudit::Strict => UseRecord::Entries,
    };
    cx.vault.record_uses(uses, record)
}

/// Writes all collected uses, one transaction for each batch, and returns their number. Uses that
/// cannot be written are kept.
pub(crate) fn record_gathered(cx: &Context) -> Result<usize, VaultError> {
    let mut uses = cx.usage.take();
    // Each tenant has its own audit chain, so uses of one tenant are written together.
    uses.sort_by(|one, other| one.tenant.cmp(&other.tenant));
    let tenants = uses.chunk_by(|one, other| one.tenant == other.tenant);
    let mut written = 0;
    for batch in tenants.flat_map(|uses| uses.chunks(BATCH)) {
        if let Err(error) = record(cx, batch) {
            cx.usage.put_back(&uses[written..]);
            return Err(error);
        }
        written += batch.len();
    }
    Ok(written)
}

/// Records a use by `resolve`. Writes a batch if the page is full. If that fails, the batch waits
/// for `maintain`: the token is valid, and upkeep reports the vault's error.
pub(crate) fn note_use(cx: &Context, handed: Handed<'_>) {
    if let Some(batch) = cx.usage.note(handed)
        && record(cx, &batch).is_err()
    {
        cx.usage.put_back(&batch);
    }
}
