//! The mark of the newest change of master keys.
//!
//! It is stored as the head of a chain that has no entries, as the mark of a transfer is. A process
//! that wraps a new key compares the mark with its active master key inside the transaction. A
//! master key that is about to be destroyed thus wraps no further key.

use crate::vault::VaultError;
use crate::vault::tables::{Chain, HeadRow, Rows, RowsMut};

type Result<T> = std::result::Result<T, VaultError>;

/// The chain whose head is the mark. -1 is the chain of schemas 1 and 2, -2 the mark of a transfer.
const MARK: Chain = Chain::Of(-3);

/// The kind of a change of master keys. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyChange {
    /// Data keys were wrapped again, so that they open what they sealed before.
    Rewrapped,
    /// Data keys are replaced, and then the former master key is destroyed.
    Replacing,
    /// The former master key was destroyed, or its destruction is scheduled.
    Replaced,
}

impl KeyChange {
    const fn number(self) -> u64 {
        match self {
            Self::Rewrapped => 1,
            Self::Replacing => 2,
            Self::Replaced => 3,
        }
    }
}

/// A change of master keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) change: KeyChange,
    /// The id of the former master key.
    pub(crate) former: [u8; 16],
    /// The id of the master key that replaces it.
    pub(crate) active: [u8; 16],
}

impl Epoch {
    /// Reads the mark.
    pub(crate) fn read(rows: &dyn Rows) -> Result<Option<Self>> {
        let Some(head) = rows.head(MARK)? else {
            return Ok(None);
        };
        let change = [KeyChange::Rewrapped, KeyChange::Replacing, KeyChange::Replaced]
            .into_iter()
            .find(|change| change.number() == head.number)
            .ok_or(VaultError::Damaged)?;
        let (former, active) = head.mac.split_at(16);
        let id = |half: &[u8]| half.try_into().map_err(|_| VaultError::Damaged);
        Ok(Some(Self {
            change,
            former: id(former)?,
            active: id(active)?,
        }))
    }

    /// Stores the mark.
    pub(crate) fn put(self, rows: &mut dyn RowsMut) -> Result<()> {
        let mut mac = [0; 32];
        let (former, active) = mac.split_at_mut(16);
        former.copy_from_slice(&self.former);
        active.copy_from_slice(&self.active);
        let head = HeadRow {
            number: self.change.number(),
            mac,
            broken: None,
            seal: [0; 32],
        };
        rows.put_head(MARK, &head)
    }

    /// Returns whether the change replaces the data keys.
    pub(crate) const fn replaces(self) -> bool {
        matches!(self.change, KeyChange::Replacing | KeyChange::Replaced)
    }
}

/// Refuses to wrap a key with a master key that is about to be destroyed. Called inside the
/// transaction that stores the wrapped key.
pub(crate) fn check_wraps(rows: &dyn Rows, master_key: &[u8; 16]) -> Result<()> {
    match Epoch::read(rows)? {
        Some(epoch) if epoch.replaces() && epoch.former == *master_key => Err(VaultError::FormerMasterKey),
        _ => Ok(()),
    }
}
