//! Definitions: authorization servers, providers and client registrations that a tenant gained
//! while the host runs.

use zeroize::Zeroizing;

use crate::model::{Actor, ProviderId, TenantId, Timestamp};
use crate::vault::VaultError;
use crate::vault::tables::Basis;

/// The largest number of definitions of a tenant.
pub const MAX_DEFINITIONS: usize = 10_000;

/// Stores definitions.
///
/// A definition decides where secrets are sent, and a client registration contains secrets itself.
/// Each is therefore sealed as a whole, together with its place. The audit records each change, and
/// a verification of the tenant's chain detects a definition that was put back or removed in the
/// database.
pub trait DefinitionStore {
    /// Stores definitions of one tenant in one transaction: all of them or none.
    ///
    /// # Errors
    ///
    /// [`VaultError::TooLarge`] if one exceeds the size of a record;
    /// [`VaultError::NotSupported`] if the tenant would have more than [`MAX_DEFINITIONS`];
    /// otherwise [`VaultError`] if nothing was stored.
    fn put_definitions(&self, put: &PutDefinitions<'_>) -> Result<DefinitionWrite, VaultError>;

    /// Reads a definition. If it is the version that the caller has `known`, it is not opened
    /// again, and a store across a network is asked again only after a bounded time.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read; [`VaultError::Tampered`] if the definition was
    /// altered.
    fn definition(
        &self,
        tenant: &TenantId,
        key: DefinitionKey<'_>,
        known: Option<&KnownDefinition>,
    ) -> Result<FoundDefinition, VaultError>;

    /// Returns definitions of one kind in the order of their names, those after `after`.
    ///
    /// # Errors
    ///
    /// Those of [`definition`](Self::definition).
    fn definitions(
        &self,
        tenant: &TenantId,
        kind: DefinitionKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Definition>, VaultError>;

    /// Returns the names of definitions of one kind, of all tenants, in ascending order and without
    /// repetitions, those after `after`. Names are not authenticated here.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store cannot be read.
    fn definition_names(
        &self,
        kind: DefinitionKind,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, VaultError>;

    /// Removes definitions of one tenant in one transaction, unless a connection depends on them.
    /// Definitions that do not exist are skipped.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if nothing was removed.
    fn remove_definitions(&self, remove: &RemoveDefinitions<'_>) -> Result<DefinitionRemoval, VaultError>;
}

/// The kind of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums, reason = "the registry holds exactly these")]
pub enum DefinitionKind {
    /// An authorization server; its name is its id.
    Server,
    /// A provider; its name is its id.
    Provider,
    /// The tenant's client at an authorization server; its name is the id of the server.
    Client,
}

impl DefinitionKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Server, Self::Provider, Self::Client];

    /// Returns the kind as one word, for storage and as the detail of an audit entry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Provider => "provider",
            Self::Client => "client",
        }
    }

    /// Returns the kind that [`as_str`](Self::as_str) wrote.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == code)
    }
}

/// The place of a definition within its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct DefinitionKey<'a> {
    /// The kind.
    pub kind: DefinitionKind,
    /// The id of the provider or the authorization server.
    pub name: &'a str,
}

/// The version of a definition. Each write gives it a new one, which was never used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefinitionVersion([u8; 16]);

impl DefinitionVersion {
    /// Returns the version with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the version.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The content of a definition: a document, and the secrets that belong to it.
#[derive(Default)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct DefinitionContent {
    /// The document. The vault does not interpret it.
    pub document: Vec<u8>,
    /// The secrets, in an order that the document's reader knows. An absent one is empty.
    pub secrets: Vec<Zeroizing<String>>,
}

/// Shows the number of secrets only.
impl std::fmt::Debug for DefinitionContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DefinitionContent")
            .field("document", &self.document.len())
            .field("secrets", &self.secrets.len())
            .finish()
    }
}

/// A stored definition.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Definition {
    /// The kind.
    pub kind: DefinitionKind,
    /// The id of the provider or the authorization server.
    pub name: String,
    /// The version.
    pub version: DefinitionVersion,
    /// The content.
    pub content: DefinitionContent,
}

/// The version of a definition that a caller read before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownDefinition {
    /// The version; `None` if there was no such definition.
    pub version: Option<DefinitionVersion>,
    /// The basis on which it counts as unchanged without being read; `None` if there is none.
    pub(crate) basis: Option<Basis>,
}

/// The result of [`DefinitionStore::definition`].
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "a caller handles each")]
pub enum FoundDefinition {
    /// It is what the caller knows already.
    Unchanged(KnownDefinition),
    /// There is none, and the caller did not know that.
    Nothing(KnownDefinition),
    /// It differs from what the caller knows.
    Changed(KnownDefinition, Box<Definition>),
}

/// The condition for a write: the definition that is stored in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a vault handles each")]
pub enum Expected {
    /// Whatever is there is replaced.
    Anything,
    /// Nothing.
    Nothing,
    /// This version.
    Version(DefinitionVersion),
}

/// A definition to be stored.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct NewDefinition<'a> {
    /// The place.
    pub key: DefinitionKey<'a>,
    /// The condition for the write.
    pub expected: Expected,
    /// The content.
    pub content: &'a DefinitionContent,
}

/// A request to store definitions.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct PutDefinitions<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The definitions. Those whose content is stored already are skipped.
    pub definitions: &'a [NewDefinition<'a>],
    /// The actor who requested it.
    pub by: Option<&'a Actor>,
    /// The current time.
    pub now: Timestamp,
}

/// The result of [`DefinitionStore::put_definitions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a caller handles each")]
pub enum DefinitionWrite {
    /// All are stored.
    Stored,
    /// One was not what its writer expected. None is stored.
    Unexpected,
}

/// A request to remove definitions.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct RemoveDefinitions<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The places.
    pub keys: &'a [DefinitionKey<'a>],
    /// The condition for each of them.
    pub expected: Expected,
    /// Nothing is removed while a connection to this provider exists that is not revoked.
    pub unless_connected: Option<&'a ProviderId>,
    /// The actor who requested it.
    pub by: Option<&'a Actor>,
    /// The current time.
    pub now: Timestamp,
}

/// The result of [`DefinitionStore::remove_definitions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a caller handles each")]
pub enum DefinitionRemoval {
    /// They are removed; the number of those that existed.
    Removed(usize),
    /// A connection depends on them.
    InUse,
    /// One was not the expected version. None is removed.
    Unexpected,
}
