//! A connection and its tokens, in plain memory.

use crate::model::{Connection, Status};
use crate::secret::{AccessToken, IdToken, RefreshToken};
use crate::vault::envelope::MAX_SECRET_LEN;
use crate::vault::lifecycle::{Keep, Lifecycle};
use crate::vault::{AuditEntry, Due, Tokens, VaultError};

pub(super) struct Entry {
    pub(super) connection: Connection,
    pub(super) lifecycle: Lifecycle,
    pub(super) access_token: Option<AccessToken>,
    pub(super) refresh_token: Option<RefreshToken>,
    pub(super) id_token: Option<IdToken>,
}

impl Entry {
    /// A connection without tokens.
    pub(super) fn new(connection: Connection, lifecycle: Lifecycle) -> Self {
        let mut entry = Self {
            connection,
            lifecycle,
            access_token: None,
            refresh_token: None,
            id_token: None,
        };
        entry.show();
        entry
    }

    pub(super) fn due(&self) -> Due {
        Due {
            tenant: self.connection.tenant.clone(),
            connection: self.connection.id,
            generation: self.connection.generation,
            provider: self.connection.provider.clone(),
            expires_at: self.connection.expires_at,
        }
    }

    pub(super) fn show(&mut self) {
        self.lifecycle.show_in(&mut self.connection);
    }

    pub(super) fn keep_tokens(&mut self, tokens: &Tokens) {
        self.access_token = Some(AccessToken::new(tokens.access_token.expose_secret()));
        self.refresh_token = tokens
            .refresh_token
            .as_ref()
            .map(|token| RefreshToken::new(token.expose_secret()));
        self.id_token = tokens
            .id_token
            .as_ref()
            .map(|token| IdToken::new(token.expose_secret()));
    }

    /// The bound that sealing sets: what a unit test stores must be storable.
    pub(super) fn check_size(tokens: &Tokens) -> Result<(), VaultError> {
        let refresh_token = tokens
            .refresh_token
            .as_ref()
            .map_or(0, |token| token.expose_secret().len());
        let id_token = tokens
            .id_token
            .as_ref()
            .map_or(0, |token| token.expose_secret().len());
        let largest = tokens
            .access_token
            .expose_secret()
            .len()
            .max(refresh_token.saturating_add(id_token));
        if largest > MAX_SECRET_LEN {
            return Err(VaultError::TooLarge);
        }
        Ok(())
    }

    pub(super) fn erase(&mut self, keep: Keep) {
        if keep != Keep::All {
            self.access_token = None;
        }
        if keep == Keep::Nothing {
            self.refresh_token = None;
            self.id_token = None;
        }
    }

    /// The token, if it is active: then it has one.
    pub(super) fn access(&self) -> Result<Option<AccessToken>, VaultError> {
        match (self.lifecycle.status, &self.access_token) {
            (Status::Active, Some(token)) => Ok(Some(AccessToken::new(token.expose_secret()))),
            (Status::Active, None) => Err(VaultError::Tampered),
            _ => Ok(None),
        }
    }

    /// What the audit tells of the connection.
    pub(super) fn told(&self, entry: AuditEntry) -> AuditEntry {
        let connection = &self.connection;
        entry
            .user(connection.owner.user())
            .about(connection.id, &connection.provider, connection.generation)
    }
}
