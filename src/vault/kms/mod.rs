//! Key services: implementations of [`KeyEncryption`](crate::vault::KeyEncryption).
//!
//! | type | feature | service |
//! |---|---|---|
//! | `AwsKms` | `aws-kms` | a symmetric key of AWS Key Management Service |
//! | `VaultTransit` | `vault-transit` | the transit engine of HashiCorp Vault or OpenBao |
//! | `Pkcs11Key` | `pkcs11` | an AES key in an HSM or another PKCS #11 token |

#[cfg(feature = "aws-kms")]
mod aws;
#[cfg(any(feature = "aws-kms", feature = "vault-transit"))]
mod exchange;
#[cfg(feature = "pkcs11")]
mod pkcs11;
#[cfg(feature = "vault-transit")]
mod transit;

#[cfg(feature = "aws-kms")]
pub use aws::{AwsCredentials, AwsKms};
#[cfg(feature = "pkcs11")]
pub use pkcs11::Pkcs11Key;
#[cfg(feature = "vault-transit")]
pub use transit::VaultTransit;

#[cfg(all(test, any(feature = "aws-kms", feature = "vault-transit", feature = "pkcs11")))]
mod tests;
