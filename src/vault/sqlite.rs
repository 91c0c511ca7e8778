//! Stand-ins until the vault is written.

use crate::clock::Clock;
use crate::model::{
    Actor, Connection, ConnectionId, Grant, GrantId, RevocationId, TenantId, Timestamp, UserId,
};
use crate::secret::PkceVerifier;
use crate::vault::envelope::MasterKeys;
use crate::vault::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
#[derive(Debug)]
pub struct SqliteVault;
impl SqliteVault {
    pub fn open(path: impl AsRef<Path>, keys: impl Into<MasterKeys>) -> Result<Self, VaultError> {
        todo!()
    }
    pub fn in_memory(keys: impl Into<MasterKeys>) -> Result<Self, VaultError> {
        todo!()
    }
    pub fn integrity_check(&self) -> Result<(), VaultError> {
        todo!()
    }
    pub fn restore(
        backup: impl AsRef<Path>,
        path: impl AsRef<Path>,
        keys: impl Into<MasterKeys>,
    ) -> Result<(), VaultError> {
        todo!()
    }
}

impl SqliteVault {
    pub(in crate::vault) fn core(&self) -> &crate::vault::sealed::Core<crate::vault::sealed::Nothing> {
        todo!()
    }
}
