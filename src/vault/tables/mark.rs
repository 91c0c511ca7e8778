//! The mark that a transfer leaves in the vaults that it connects.
//!
//! It is stored as the head of a chain that has no entries, so that it needs no table of its own.
//! Every write checks it inside its transaction: a process that opened the vault before the
//! transfer began is refused as well.

use crate::vault::VaultError;
use crate::vault::tables::{Chain, HeadRow, Rows, RowsMut};

type Result<T> = std::result::Result<T, VaultError>;

/// The chain whose head is the mark. Tenants never have negative numbers, and -1 is that of the
/// chain of schemas 1 and 2.
pub(crate) const MARK: Chain = Chain::Of(-2);

/// The state of a vault with respect to transfers. The numbers are stored; a higher one forbids
/// more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It can be used. If the mark names a transfer, the vault is the result of it.
    Open,
    /// It is a source whose refreshes end: none may begin.
    Closing,
    /// It is a source that is being read: nothing may be written.
    Moving,
    /// It is a source whose content is elsewhere now: nothing may be written.
    Moved,
    /// It is a target that is being filled: nothing may be written or found missing.
    Receiving,
}

impl Stage {
    const ALL: [Self; 5] = [
        Self::Open,
        Self::Closing,
        Self::Moving,
        Self::Moved,
        Self::Receiving,
    ];

    /// Returns the number that is stored.
    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Open => 0,
            Self::Closing => 1,
            Self::Moving => 2,
            Self::Moved => 3,
            Self::Receiving => 4,
        }
    }

    fn of_number(number: u64) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|stage| stage.number() == number)
            .ok_or(VaultError::Damaged)
    }

    /// Returns the error of a caller that this stage refuses.
    const fn refusal(self) -> VaultError {
        match self {
            Self::Open | Self::Closing | Self::Moving | Self::Moved => VaultError::Moved,
            Self::Receiving => VaultError::Incomplete,
        }
    }
}

/// A stage, and the transfer that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) stage: Stage,
    /// The random id of the transfer; zeros if there never was one.
    pub(crate) transfer: [u8; 16],
}

impl Mark {
    /// Reads the mark. A vault without one is open.
    pub(crate) fn read(rows: &dyn Rows) -> Result<Self> {
        let Some(head) = rows.head(MARK)? else {
            return Ok(Self {
                stage: Stage::Open,
                transfer: [0; 16],
            });
        };
        let (transfer, _) = head.mac.split_first_chunk().ok_or(VaultError::Damaged)?;
        Ok(Self {
            stage: Stage::of_number(head.number)?,
            transfer: *transfer,
        })
    }

    /// Stores the mark. From the end of the transaction on, every other write is checked against
    /// it.
    pub(crate) fn put(self, rows: &mut dyn RowsMut) -> Result<()> {
        let mut mac = [0; 32];
        if let Some((transfer, _)) = mac.split_first_chunk_mut() {
            *transfer = self.transfer;
        }
        rows.put_head(
            MARK,
            &HeadRow {
                number: self.stage.number(),
                mac,
                broken: None,
                seal: [0; 32],
            },
        )
    }
}

/// The kind of a write, which decides from which stage on it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// The claim of a refresh.
    Claim,
    /// Any other write of a host.
    Host,
    /// The transfer itself.
    Transfer,
}

impl Writer {
    /// Returns the first stage that refuses this kind of write.
    pub(crate) const fn refused_from(self) -> Option<Stage> {
        match self {
            Self::Claim => Some(Stage::Closing),
            Self::Host => Some(Stage::Moving),
            Self::Transfer => None,
        }
    }

    /// Refuses a write that the mark forbids. Called inside its transaction.
    pub(crate) fn check(self, rows: &dyn Rows) -> Result<()> {
        let Some(from) = self.refused_from() else {
            return Ok(());
        };
        match rows.head(MARK)? {
            Some(head) if head.number >= from.number() => Err(Stage::of_number(head.number)?.refusal()),
            _ => Ok(()),
        }
    }
}

/// Refuses to report something as missing while the vault is being filled.
pub(crate) fn check_complete(rows: &dyn Rows) -> Result<()> {
    match rows.head(MARK)? {
        Some(head) if head.number >= Stage::Receiving.number() => Err(VaultError::Incomplete),
        _ => Ok(()),
    }
}
