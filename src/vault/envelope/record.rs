//! Sealed records.

use zeroize::Zeroizing;

use crate::model::{ProviderId, TenantId, UserId};
use crate::vault::VaultError;
use crate::vault::envelope::aead::{self, NONCE_LEN, TAG_LEN};
use crate::vault::envelope::{DataKey, Fields, MAX_SECRET_LEN, VaultId, aad, fields};

/// The format of bodies of audit entries, and of all records of schemas 1 and 2.
pub(super) const FORMAT_1: u8 = 1;
/// The format of records whose additional data includes the route.
const FORMAT_2: u8 = 2;
const HEADER_LEN: usize = 1 + 4;
const SEALED_FROM: usize = HEADER_LEN + NONCE_LEN;
/// The greatest number of fields in a record.
const MAX_FIELDS: usize = 16;
const MAX_LEN: usize = SEALED_FROM + MAX_SECRET_LEN + 4 * MAX_FIELDS + TAG_LEN;

/// The kind of secret that a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The access token of a grant. It is sealed separately, so that resolving a token opens
    /// nothing else.
    AccessToken,
    /// The refresh token and the id token of a grant.
    Rest,
    /// The PKCE verifier of a consent request.
    Consent,
    /// The access token of a pending revocation.
    RevocationAccess,
    /// The refresh token of a pending revocation.
    RevocationRest,
    /// A definition: an authorization server, a provider or a client registration.
    Definition,
}

impl Kind {
    const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::AccessToken => b"access_token",
            Self::Rest => b"rest",
            Self::Consent => b"consent",
            Self::RevocationAccess => b"revocation_access",
            Self::RevocationRest => b"revocation_rest",
            Self::Definition => b"definition",
        }
    }
}

/// The place of a record and the facts that decide where its secret is sent.
///
/// All of it is additional data: the record opens only in exactly the same context.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "the caller must name every part")]
pub struct Context<'a> {
    /// The kind of secret.
    pub kind: Kind,
    /// The vault.
    pub vault: VaultId,
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The user that the secret belongs to; `None` for a workspace connection.
    pub owner: Option<&'a UserId>,
    /// The service; for a definition, its name.
    pub provider: &'a ProviderId,
    /// The id of the grant, the consent request or the pending revocation, or the version of the
    /// definition.
    pub id: &'a [u8; 16],
    /// The generation of the grant; the revision of a definition; zero for a consent request.
    pub generation: u64,
    /// An encoding of the facts that decide where the secret is sent and how it is shown. For a
    /// grant these are its server, endpoints, client id, parameters, scopes, expiry and account;
    /// for a consent request and a pending revocation it is the whole row, for a definition its
    /// kind and name. The documentation of the
    /// module lists the fields. Format 1 has no route.
    pub route: &'a [u8],
}

/// The encoded additional data of one record, for a record that is opened more than once.
#[derive(Debug)]
pub(crate) struct Binding(Box<[u8]>);

impl Binding {
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }
}

impl Context<'_> {
    /// Encodes the additional data of a record of the current format in this context.
    ///
    /// # Errors
    ///
    /// [`VaultError::Tampered`] if the bytes are not a record.
    pub(crate) fn binding(&self, record: &[u8]) -> Result<Binding, VaultError> {
        let header = record.first_chunk::<HEADER_LEN>().ok_or(VaultError::Tampered)?;
        Ok(Binding(self.encode(FORMAT_2, header).into_boxed_slice()))
    }

    fn encode(&self, format: u8, header: &[u8]) -> Vec<u8> {
        let generation = self.generation.to_be_bytes();
        // The tag byte distinguishes the workspace from every name of a user.
        let (tag, user) = match self.owner {
            Some(user) => (1, user.as_str()),
            None => (0, ""),
        };
        let before: &[&[u8]] = &[
            self.kind.as_bytes(),
            self.vault.as_bytes(),
            self.tenant.as_str().as_bytes(),
        ];
        let provider = self.provider.as_str().as_bytes();
        if format == FORMAT_1 {
            let after: &[&[u8]] = &[provider, self.id, &generation, header];
            return aad::encode_around(aad::DOMAIN_1, before, tag, user.as_bytes(), after);
        }
        let after: &[&[u8]] = &[provider, self.id, &generation, header, self.route];
        aad::encode_around(aad::DOMAIN_2, before, tag, user.as_bytes(), after)
    }
}

impl DataKey {
    /// Seals the fields as one record.
    ///
    /// # Errors
    ///
    /// [`VaultError::TooLarge`] if the fields exceed [`MAX_SECRET_LEN`],
    /// [`VaultError::RandomUnavailable`] if the operating system has no random numbers.
    pub fn seal(&self, context: &Context<'_>, secrets: &[&[u8]]) -> Result<Vec<u8>, VaultError> {
        self.seal_with_nonce(context, secrets, aead::nonce()?)
    }

    /// Seals the body of an audit entry with this nonce, which no other seal uses, and binds it to
    /// the number of the entry.
    ///
    /// # Errors
    ///
    /// [`VaultError::TooLarge`] if the fields exceed [`MAX_SECRET_LEN`].
    pub fn seal_audit(
        &self,
        vault: VaultId,
        tenant: &TenantId,
        number: u64,
        fields: &[&[u8]],
        nonce: [u8; NONCE_LEN],
    ) -> Result<Vec<u8>, VaultError> {
        self.seal_bound(
            FORMAT_1,
            |header| audit_binding(vault, tenant, number, header),
            fields,
            nonce,
        )
    }

    /// Opens the body of an audit entry.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn open_audit(
        &self,
        vault: VaultId,
        tenant: &TenantId,
        number: u64,
        body: Vec<u8>,
    ) -> Result<Fields, VaultError> {
        self.open_bound(
            FORMAT_1,
            |header| audit_binding(vault, tenant, number, header),
            body,
        )
    }

    pub(super) fn seal_with_nonce(
        &self,
        context: &Context<'_>,
        secrets: &[&[u8]],
        nonce: [u8; NONCE_LEN],
    ) -> Result<Vec<u8>, VaultError> {
        self.seal_bound(
            FORMAT_2,
            |header| context.encode(FORMAT_2, header),
            secrets,
            nonce,
        )
    }

    pub(super) fn seal_bound(
        &self,
        format: u8,
        binding: impl Fn(&[u8]) -> Vec<u8>,
        secrets: &[&[u8]],
        nonce: [u8; NONCE_LEN],
    ) -> Result<Vec<u8>, VaultError> {
        if secrets.len() > MAX_FIELDS {
            return Err(VaultError::TooLarge);
        }
        let plaintext_len = fields::encoded_len(secrets)?;
        let mut record = Zeroizing::new(Vec::with_capacity(SEALED_FROM + plaintext_len + TAG_LEN));
        record.push(format);
        record.extend_from_slice(&self.version().to_be_bytes());
        let aad = binding(&record);
        record.extend_from_slice(&nonce);
        fields::encode(secrets, &mut record)?;
        self.cipher().seal(nonce, &aad, &mut record, SEALED_FROM)?;
        Ok(std::mem::take(&mut record))
    }

    /// Returns the version of the tenant's key that a record names.
    ///
    /// # Errors
    ///
    /// [`VaultError::Tampered`] if the bytes are not a record of a known format.
    pub fn version_of(record: &[u8]) -> Result<u32, VaultError> {
        if record.len() < SEALED_FROM + TAG_LEN || record.len() > MAX_LEN {
            return Err(VaultError::Tampered);
        }
        match record.split_first_chunk::<HEADER_LEN>() {
            Some(([FORMAT_1 | FORMAT_2, version @ ..], _)) => Ok(u32::from_be_bytes(*version)),
            _ => Err(VaultError::Tampered),
        }
    }

    /// Opens a record in place.
    ///
    /// # Errors
    ///
    /// [`VaultError::Tampered`] if the record was altered, belongs to another context, names
    /// another key, or has another format.
    pub fn open(&self, context: &Context<'_>, record: Vec<u8>) -> Result<Fields, VaultError> {
        self.open_bound(FORMAT_2, |header| context.encode(FORMAT_2, header), record)
    }

    /// Opens a record in place whose additional data was [encoded](Context::binding) before.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub(crate) fn open_in(&self, binding: &Binding, record: Vec<u8>) -> Result<Fields, VaultError> {
        self.open_bound(FORMAT_2, |_| &*binding.0, record)
    }

    /// Opens a record of format 1, which is not bound to a route. Only the migration from schemas 1
    /// and 2 uses it.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    #[cfg(any(feature = "sqlite", feature = "_internals"))]
    pub fn open_format_1(&self, context: &Context<'_>, record: Vec<u8>) -> Result<Fields, VaultError> {
        self.open_bound(FORMAT_1, |header| context.encode(FORMAT_1, header), record)
    }

    pub(super) fn open_bound<A: AsRef<[u8]>>(
        &self,
        format: u8,
        binding: impl FnOnce(&[u8]) -> A,
        record: Vec<u8>,
    ) -> Result<Fields, VaultError> {
        if Self::version_of(&record)? != self.version() || record.first() != Some(&format) {
            return Err(VaultError::Tampered);
        }
        let mut record = Zeroizing::new(record);
        let (header, sealed) = record
            .split_first_chunk_mut::<HEADER_LEN>()
            .ok_or(VaultError::Tampered)?;
        let (nonce, sealed) = sealed
            .split_first_chunk_mut::<NONCE_LEN>()
            .ok_or(VaultError::Tampered)?;
        let len = self
            .cipher()
            .open(*nonce, binding(header).as_ref(), sealed)?
            .len();
        Ok(Fields::new(record, SEALED_FROM, SEALED_FROM + len))
    }
}

fn audit_binding(vault: VaultId, tenant: &TenantId, number: u64, header: &[u8]) -> Vec<u8> {
    aad::encode(&[
        b"audit",
        vault.as_bytes(),
        tenant.as_str().as_bytes(),
        &number.to_be_bytes(),
        header,
    ])
}

#[cfg(test)]
mod tests;
