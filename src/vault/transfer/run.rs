//! The order of a transfer.

use std::fmt;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::model::Timestamp;
use crate::vault::tables::{Chain, Mark, Rows, RowsMut, Stage, VAULT_CHAIN};
use crate::vault::transfer::copy::{Sides, read};
use crate::vault::transfer::error::TransferError;
use crate::vault::transfer::report::{TransferProgress, Transferred};
use crate::vault::transfer::side::{Side, Sided};
use crate::vault::transfer::verify;
use crate::vault::{AuditEntry, AuditKind, Vault, VaultError};

type Result<T> = std::result::Result<T, TransferError>;

/// A move of everything in one vault into another: from a file into PostgreSQL, back, into another
/// file, under other master keys, into or out of a host's own store.
///
/// The target becomes the vault that the source was. It has the same id and the same data keys,
/// wrapped by the target's master keys. Everything moves: tenants, connections, grants, consent
/// requests under way, definitions, pending revocations, and the audit with its numbers, times and
/// proofs, so that an exported [`AuditHead`](crate::vault::AuditHead) is recognized in the target.
/// The vault's own chain gets an entry [`AuditKind::VaultMoved`](crate::vault::AuditKind). Only
/// claims of refreshes do not move, because there are none.
///
/// # Hosts that still run
///
/// Stop the hosts of the source first. If one still runs, nothing breaks: from the beginning of the
/// transfer on it starts no refresh, and soon after it can write nothing. Its calls fail with
/// [`VaultError::Moved`]. It still returns access tokens that are valid, also after the transfer,
/// until they expire; a revocation in the target does not reach it. The user of a consent that was
/// opened before the move completes it at a host of the target.
///
/// Nothing is refreshed twice: while one side can be written, the other one cannot.
///
/// # Interruption
///
/// After an error, or when the process was killed at any point, run the transfer again with the
/// same two vaults. It continues where it was. Until it has returned, calls on the target fail with
/// [`VaultError::Incomplete`] instead of reporting that something is missing. To give up, call
/// [`cancel`](Self::cancel), which makes the source usable again, and discard the target.
///
/// # Verification
///
/// In the end every row of both vaults is compared, every record of the target is opened with the
/// target's keys, and the audit of every tenant is verified on both sides. Only then is the target
/// released. Copying and verifying each read the whole source.
///
/// # Security
///
/// The data keys of tenants remain the same. If the reason for the move is that the former master
/// key or a copy of the source may be known to others, give each tenant a new data key in the
/// target afterwards ([`rotate_data_key`](crate::vault::SealedVault::rotate_data_key)). Destroy the
/// source and its backups when they are not needed any more: with the former master key they open.
/// A backup of the source that is put in place again does not know that it was moved.
///
/// # Examples
///
/// ```
/// use valetkey::vault::{MasterKey, SealedVault, SqliteVault, Transfer};
///
/// let source = SealedVault::in_memory();
/// let target = SqliteVault::in_memory(MasterKey::generate()?)?;
/// let moved = Transfer::new(&source, &target).run(|progress| {
///     println!("{}: {} of {}", progress.phase, progress.done, progress.total);
/// })?;
/// assert_eq!(moved.unreadable, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Transfer<'a> {
    from: &'a dyn Vault,
    to: &'a dyn Vault,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Transfer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

impl<'a> Transfer<'a> {
    /// Returns a transfer between two vaults. Nothing is read or written yet.
    #[must_use]
    pub fn new(from: &'a dyn Vault, to: &'a dyn Vault) -> Self {
        Self {
            from,
            to,
            clock: Arc::new(SystemClock),
        }
    }

    /// Uses this clock instead of the system's. It dates the entry of the audit and decides which
    /// refreshes are under way, unless the source has its own clock, as a shared database does.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Moves everything, or continues an interrupted move. `progress` is called after each page of
    /// rows. Returns the numbers of records; if the transfer had ended before, those of the source.
    ///
    /// # Errors
    ///
    /// * [`TransferError::NotEmpty`] if the target contains anything else;
    ///   [`TransferError::SameVault`] if it is the source; [`TransferError::OtherTarget`] if the
    ///   source belongs to another transfer. Nothing was changed.
    /// * [`TransferError::RefreshUnderWay`] if hosts wait for a provider. Their refreshes end, and
    ///   no others begin: run the transfer again a little later.
    /// * [`TransferError::Source`] or [`TransferError::Target`] with the cause. The transfer can be
    ///   run again.
    /// * [`TransferError::Differs`] if the verification failed. The target is not released.
    pub fn run(&self, mut progress: impl FnMut(TransferProgress)) -> Result<Transferred> {
        let (Sided(from), Sided(to)) = (self.from.side(), self.to.side());
        let clock = from.clock().unwrap_or_else(|| Arc::clone(&self.clock));
        let now = clock.now();
        let mut sides = Sides::new((from, to), now, &mut progress);
        let transfer = match admit(&sides)? {
            Admitted::Begun(transfer) => transfer,
            Admitted::Ended => return Ok(verify::survey(&sides)?.found),
        };
        sides.total = close(&sides, transfer)?;
        freeze(from, transfer, now)?;
        receive(&sides, transfer)?;
        sides.copy_all()?;
        let moved = verify::verify_all(&mut sides)?;
        // The source is given up before the target is released: there is never a moment at which
        // both can be used.
        mark(
            from,
            transfer,
            &[Stage::Moving, Stage::Moved],
            Stage::Moved,
            |_| Ok(()),
        )
        .map_err(TransferError::Source)?;
        mark(to, transfer, &[Stage::Receiving], Stage::Open, |_| Ok(())).map_err(TransferError::Target)?;
        to.forget_keys();
        Ok(moved)
    }

    /// Gives up an interrupted transfer: the source can be used again. Discard the target, which
    /// remains unusable.
    ///
    /// # Errors
    ///
    /// [`TransferError::Ended`] if the target may be in use already; [`TransferError::Source`] if
    /// the source could not be written.
    pub fn cancel(from: &dyn Vault) -> Result<()> {
        let Sided(from) = from.side();
        let mut is_moved = false;
        from.write(&mut |rows| {
            rows.exclude_writers()?;
            let found = Mark::read(rows)?;
            is_moved = found.stage == Stage::Moved;
            match found.stage {
                Stage::Closing | Stage::Moving => Mark {
                    stage: Stage::Open,
                    transfer: [0; 16],
                }
                .put(rows),
                Stage::Receiving => Err(VaultError::Incomplete),
                Stage::Open | Stage::Moved => Ok(()),
            }
        })
        .map_err(TransferError::Source)?;
        if is_moved {
            Err(TransferError::Ended)
        } else {
            Ok(())
        }
    }
}

/// The answer to a transfer between two vaults.
enum Admitted {
    /// It begins or continues, under this id.
    Begun([u8; 16]),
    /// It has ended.
    Ended,
}

/// Decides whether these vaults can be the sides of a transfer. Its id is the one that the target's
/// vault had before, so that a source belongs to one target only.
fn admit(sides: &Sides<'_>) -> Result<Admitted> {
    // A vault in memory has no row of its own before it is used.
    sides.from.chain_key().map_err(TransferError::Source)?;
    sides.to.chain_key().map_err(TransferError::Target)?;
    let (source, source_id) =
        sides.source(|rows| Ok((Mark::read(rows)?, rows.vault()?.map(|row| row.id))))?;
    let (target, target_id) =
        sides.target(|rows| Ok((Mark::read(rows)?, rows.vault()?.map(|row| row.id))))?;
    if source.stage == Stage::Receiving {
        return Err(TransferError::Source(VaultError::Incomplete));
    }
    let is_of_source = target.transfer != [0; 16] && target.transfer == source.transfer;
    match target.stage {
        Stage::Receiving if is_of_source && source.stage >= Stage::Moving => {
            return Ok(Admitted::Begun(target.transfer));
        }
        Stage::Open if is_of_source && source.stage == Stage::Moved => return Ok(Admitted::Ended),
        Stage::Receiving => return Err(TransferError::OtherTarget),
        Stage::Open | Stage::Closing | Stage::Moving | Stage::Moved => {}
    }
    if source_id == target_id {
        return Err(TransferError::SameVault);
    }
    let is_empty = sides.target(is_empty)?;
    if !is_empty || target.stage != Stage::Open {
        return Err(TransferError::NotEmpty);
    }
    let id = target_id.ok_or(TransferError::Target(VaultError::Damaged))?;
    match source.stage {
        Stage::Open => Ok(Admitted::Begun(id)),
        Stage::Closing | Stage::Moving if source.transfer == id => Ok(Admitted::Begun(id)),
        _ => Err(TransferError::OtherTarget),
    }
}

fn is_empty(rows: &dyn Rows) -> std::result::Result<bool, VaultError> {
    let has_entries = rows.last_number(Chain::Of(VAULT_CHAIN))? > 0 || rows.last_number(Chain::Legacy)? > 0;
    Ok(!has_entries && rows.tenants(VAULT_CHAIN, 1)?.is_empty())
}

/// Replaces the mark of a side, if it is one of these stages of the transfer or already the new
/// one. All other writers have ended before, and see the new one.
fn mark(
    side: &dyn Side,
    transfer: [u8; 16],
    expected: &[Stage],
    next: Stage,
    with: impl Fn(&mut dyn RowsMut) -> std::result::Result<(), VaultError>,
) -> std::result::Result<(), VaultError> {
    side.write(&mut |rows| {
        rows.exclude_writers()?;
        let found = Mark::read(rows)?;
        let is_expected =
            expected.contains(&found.stage) && (found.transfer == transfer || found.stage == Stage::Open);
        if !is_expected {
            // Another transfer, or a cancellation, was faster.
            return Err(VaultError::Busy);
        }
        if found.stage != next {
            with(rows)?;
        }
        Mark {
            stage: next,
            transfer,
        }
        .put(rows)
    })
}

/// Lets refreshes end: none begins from here on. Returns the number of rows that the source will
/// have when nothing is written to it.
fn close(sides: &Sides<'_>, transfer: [u8; 16]) -> Result<u64> {
    let stage = sides.source(|rows| Ok(Mark::read(rows)?.stage))?;
    if stage >= Stage::Moving {
        // Claims of a source that cannot be written have lapsed.
        return Ok(verify::survey(sides)?.rows);
    }
    let expected = [Stage::Open, Stage::Closing];
    mark(sides.from, transfer, &expected, Stage::Closing, |_| Ok(())).map_err(TransferError::Source)?;
    sides.from.erase_forgotten().map_err(TransferError::Source)?;
    sides.from.link_most().map_err(TransferError::Source)?;
    let survey = verify::survey(sides)?;
    if survey.held > 0 {
        return Err(TransferError::RefreshUnderWay(survey.held));
    }
    // The entry about the move follows.
    Ok(survey.rows + 1)
}

/// Ends all writes of the source, and records in its audit where it went.
fn freeze(from: &dyn Side, transfer: [u8; 16], now: Timestamp) -> Result<()> {
    let stage = read(from, |rows| Ok(Mark::read(rows)?.stage)).map_err(TransferError::Source)?;
    if stage >= Stage::Moving {
        return Ok(());
    }
    let entry = AuditEntry::new(AuditKind::VaultMoved, now);
    let key = from.chain_key().map_err(TransferError::Source)?;
    mark(from, transfer, &[Stage::Closing], Stage::Moving, |rows| {
        // The target takes chains only.
        from.link(&key, rows)?;
        from.append(&key, rows, &entry, &transfer)
    })
    .map_err(TransferError::Source)
}

/// Makes the target the vault that the source was, still without content.
fn receive(sides: &Sides<'_>, transfer: [u8; 16]) -> Result<()> {
    let stage = sides.target(|rows| Ok(Mark::read(rows)?.stage))?;
    if stage == Stage::Receiving {
        return Ok(());
    }
    let row = sides
        .from
        .vault_for(sides.to.master_keys())
        .map_err(TransferError::Source)?;
    mark(sides.to, transfer, &[Stage::Open], Stage::Receiving, |rows| {
        if !is_empty(&*rows)? {
            return Err(VaultError::Busy);
        }
        rows.put_vault(&row)
    })
    .map_err(TransferError::Target)?;
    sides.to.forget_keys();
    Ok(())
}
