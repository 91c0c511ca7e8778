//! The transit engine of HashiCorp Vault and OpenBao.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use ring::digest;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::http::{HttpClient, HttpRequest, HttpResponse};
use crate::model::TenantId;
use crate::secret::SecretBytes;
use crate::vault::kms::exchange::{self, MAX_RESPONSE_BYTES};
use crate::vault::{Destruction, KeyContext, KeyEncryption, KeyServiceError};

/// The limit of a list of keys: about 180,000 tenants.
const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;
/// The number of keys that one call deletes, so that it ends within a bounded time.
const MAX_DELETED: usize = 100;

/// Returns a current token.
type TokenSource = dyn Fn() -> Result<SecretBytes, KeyServiceError> + Send + Sync;

/// The keys of a transit engine: one for each tenant.
///
/// The engine creates the key of a tenant when it is used for the first time. Deleting that key
/// makes everything of the tenant unreadable, also in backups of the database: see
/// [`delete_key`](Self::delete_key).
///
/// The token's policy needs `create` and `update` on `<mount>/encrypt/<prefix>-*` and `update` on
/// `<mount>/decrypt/<prefix>-*`. The engine must support associated data (HashiCorp Vault 1.9 or
/// OpenBao).
///
/// To replace all keys, use another prefix, and destroy the keys of the former one with
/// `rotate_and_destroy` of the vault.
///
/// ```no_run
/// use valetkey::http::UreqClient;
/// use valetkey::SecretBytes;
/// use valetkey::vault::kms::VaultTransit;
/// use valetkey::vault::{KeyServiceError, MasterKeys, SqliteVault};
///
/// let token = || {
///     let token = std::fs::read("/run/secrets/vault-token").map_err(|_| KeyServiceError::Denied)?;
///     Ok(SecretBytes::new(token.trim_ascii().to_vec()))
/// };
/// let address = "https://vault.internal.example:8200".parse().expect("an address");
/// let transit = VaultTransit::new(address, "agents", token, UreqClient::new())?;
/// let vault = SqliteVault::open("agent.db", MasterKeys::wrapped_by(transit))?;
/// # Ok::<(), valetkey::vault::VaultError>(())
/// ```
pub struct VaultTransit {
    address: Url,
    mount: String,
    namespace: Option<HeaderValue>,
    prefix: String,
    name: String,
    token: Arc<TokenSource>,
    http: Arc<dyn HttpClient>,
}

impl VaultTransit {
    /// Returns the keys with this prefix at the server with this address, in the engine that is
    /// mounted at `transit`.
    ///
    /// `token` is called for each request, so that the host can renew the token. It must not wait
    /// for the network.
    ///
    /// # Errors
    ///
    /// [`KeyServiceError::Protocol`] if the address has a path, a query or credentials, or if the
    /// prefix has characters other than letters, digits, `-` and `_`.
    pub fn new(
        address: Url,
        prefix: impl Into<String>,
        token: impl Fn() -> Result<SecretBytes, KeyServiceError> + Send + Sync + 'static,
        http: impl HttpClient,
    ) -> Result<Self, KeyServiceError> {
        let prefix = prefix.into();
        let is_plain = address.path() == "/"
            && address.query().is_none()
            && address.fragment().is_none()
            && address.username().is_empty()
            && address.password().is_none()
            && address.has_host();
        if !is_plain {
            return Err(KeyServiceError::Protocol(
                "the address must be a scheme, a host and a port",
            ));
        }
        if prefix.is_empty() || !prefix.bytes().all(is_name_byte) {
            return Err(KeyServiceError::Protocol(
                "the prefix of key names must consist of letters, digits, `-` and `_`",
            ));
        }
        let transit = Self {
            address,
            mount: "transit".to_owned(),
            namespace: None,
            prefix,
            name: String::new(),
            token: Arc::new(token),
            http: Arc::new(http),
        };
        Ok(transit.named())
    }

    /// Sets the path at which the engine is mounted. Default: `transit`.
    ///
    /// # Errors
    ///
    /// [`KeyServiceError::Protocol`] if the path has characters other than letters, digits, `-`,
    /// `_` and `/`.
    pub fn mount(self, mount: impl Into<String>) -> Result<Self, KeyServiceError> {
        let mount = mount.into();
        if !is_path(&mount) {
            return Err(KeyServiceError::Protocol(
                "the mount must be a path such as `transit`",
            ));
        }
        Ok(Self { mount, ..self }.named())
    }

    /// Sets the namespace that is sent with each request.
    ///
    /// # Errors
    ///
    /// [`KeyServiceError::Protocol`] if the namespace has characters other than letters, digits,
    /// `-`, `_` and `/`.
    pub fn namespace(self, namespace: &str) -> Result<Self, KeyServiceError> {
        let value = HeaderValue::from_str(namespace)
            .ok()
            .filter(|_| is_path(namespace))
            .ok_or(KeyServiceError::Protocol(
                "the namespace must be a path such as `team`",
            ))?;
        let transit = Self {
            namespace: Some(value),
            ..self
        };
        Ok(transit.named())
    }

    /// Deletes the key of a tenant at the engine.
    ///
    /// Everything that the tenant stored becomes unreadable for good, in the vault and in all its
    /// backups, when no process has the key in memory any more (see
    /// [`MasterKeys::keep_unwrapped`](crate::vault::MasterKeys::keep_unwrapped)). Forget the tenant
    /// in the vault first. The token needs `update` on `<mount>/keys/<prefix>-*/config` and
    /// `delete` on `<mount>/keys/<prefix>-*`.
    ///
    /// # Errors
    ///
    /// [`KeyServiceError`] by the cause. A key that does not exist counts as deleted.
    pub fn delete_key(&self, tenant: &TenantId) -> Result<(), KeyServiceError> {
        self.delete(&self.key_name(Some(tenant)))
    }

    fn delete(&self, name: &str) -> Result<(), KeyServiceError> {
        #[derive(Serialize)]
        struct Config {
            deletion_allowed: bool,
        }
        let key = format!("keys/{name}");
        let allow = Config {
            deletion_allowed: true,
        };
        let allowed = self.call(Method::POST, &format!("{key}/config"), Some(&allow))?;
        if !allowed.status.is_success() {
            return match failure(&allowed) {
                KeyServiceError::UnknownKey => Ok(()),
                // A key that does not exist has no configuration either.
                KeyServiceError::Mismatch => Err(KeyServiceError::Protocol("it refused the request")),
                other => Err(other),
            };
        }
        let deleted = self.call(Method::DELETE, &key, None::<&()>)?;
        match deleted.status.is_success() {
            true => Ok(()),
            false => Err(failure(&deleted)),
        }
    }

    /// Returns the names of all keys of this prefix, that of the vault itself last.
    fn key_names(&self) -> Result<Vec<String>, KeyServiceError> {
        let answer = self.list("keys")?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        if !answer.status.is_success() {
            return Err(failure(&answer));
        }
        let answer: Answer<Listed> = serde_json::from_slice(answer.body.as_bytes())
            .map_err(|_| KeyServiceError::Protocol("its answer has no list of keys"))?;
        let mut names = answer.data.keys;
        names.retain(|name| self.is_key_name(name));
        let of_vault = self.key_name(None);
        names.sort_by_key(|name| *name == of_vault);
        Ok(names)
    }

    /// Returns whether [`key_name`](Self::key_name) returns this name for a vault or a tenant.
    fn is_key_name(&self, name: &str) -> bool {
        let Some(rest) = name.strip_prefix(&*self.prefix) else {
            return false;
        };
        let is_hash = |rest: &str| {
            rest.len() == 32
                && rest
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
        };
        rest.strip_prefix('-')
            .is_some_and(|rest| rest == "vault" || is_hash(rest))
    }

    /// Names the keys after everything that decides which keys they are.
    fn named(mut self) -> Self {
        let namespace = self
            .namespace
            .as_ref()
            .map_or("", |value| value.to_str().unwrap_or(""));
        self.name = format!(
            "transit:{}{namespace}/{}/{}",
            self.address, self.mount, self.prefix
        );
        self
    }

    /// Returns the name of a key at the engine. The names of tenants may have other characters, so
    /// that the name has their hash.
    fn key_name(&self, tenant: Option<&TenantId>) -> String {
        let Some(tenant) = tenant else {
            return format!("{}-vault", self.prefix);
        };
        let hash = digest::digest(&digest::SHA256, tenant.as_str().as_bytes());
        let hex: String = hash
            .as_ref()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{}-{hex}", self.prefix)
    }

    fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<HttpResponse, KeyServiceError> {
        let mut request = self.request(method, self.url(path))?;
        if let Some(body) = body {
            let mut body = exchange::json(body)?;
            request = request
                .with_header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .with_body(std::mem::take(&mut *body));
        }
        exchange::send(&*self.http, request, MAX_RESPONSE_BYTES)
    }

    /// Lists what is at a path.
    fn list(&self, path: &str) -> Result<HttpResponse, KeyServiceError> {
        let mut url = self.url(path);
        url.set_query(Some("list=true"));
        exchange::send(&*self.http, self.request(Method::GET, url)?, MAX_LIST_BYTES)
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.address.clone();
        url.set_path(&format!("/v1/{}/{path}", self.mount));
        url
    }

    /// Returns a request with the token and the namespace.
    fn request(&self, method: Method, url: Url) -> Result<HttpRequest, KeyServiceError> {
        let mut request = HttpRequest::new(method, url)
            .with_secret_header(HeaderName::from_static("x-vault-token"), (self.token)()?)
            .map_err(|_| KeyServiceError::Denied)?;
        if let Some(namespace) = &self.namespace {
            request = request.with_header(HeaderName::from_static("x-vault-namespace"), namespace.clone());
        }
        Ok(request)
    }
}

#[derive(Serialize)]
struct EncryptRequest<'a> {
    plaintext: &'a str,
    associated_data: &'a str,
}

#[derive(Serialize)]
struct DecryptRequest<'a> {
    ciphertext: &'a str,
    associated_data: &'a str,
}

#[derive(Deserialize)]
struct Answer<D> {
    data: D,
}

#[derive(Deserialize)]
struct Encrypted<'a> {
    #[serde(borrow)]
    ciphertext: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Decrypted<'a> {
    // Base64 contains nothing that JSON escapes, so that the text is never copied.
    plaintext: &'a str,
}

#[derive(Deserialize)]
struct Listed {
    keys: Vec<String>,
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow, default)]
    errors: Vec<Cow<'a, str>>,
}

impl KeyEncryption for VaultTransit {
    fn name(&self) -> &str {
        &self.name
    }

    fn wrap(&self, key: &SecretBytes, context: &KeyContext<'_>) -> Result<Vec<u8>, KeyServiceError> {
        let answer = self.call(
            Method::POST,
            &format!("encrypt/{}", self.key_name(context.tenant())),
            Some(&EncryptRequest {
                plaintext: &exchange::base64_of(key),
                associated_data: &STANDARD.encode(context.to_bytes()),
            }),
        )?;
        if !answer.status.is_success() {
            return Err(match failure(&answer) {
                KeyServiceError::Mismatch => KeyServiceError::Protocol("it refused to encrypt"),
                other => other,
            });
        }
        let answer: Answer<Encrypted<'_>> = serde_json::from_slice(answer.body.as_bytes())
            .map_err(|_| KeyServiceError::Protocol("its answer has no wrapped key"))?;
        Ok(answer.data.ciphertext.into_owned().into_bytes())
    }

    fn unwrap(&self, wrapped: &[u8], context: &KeyContext<'_>) -> Result<SecretBytes, KeyServiceError> {
        let ciphertext = std::str::from_utf8(wrapped).map_err(|_| KeyServiceError::Mismatch)?;
        let answer = self.call(
            Method::POST,
            &format!("decrypt/{}", self.key_name(context.tenant())),
            Some(&DecryptRequest {
                ciphertext,
                associated_data: &STANDARD.encode(context.to_bytes()),
            }),
        )?;
        if !answer.status.is_success() {
            return Err(failure(&answer));
        }
        let answer: Answer<Decrypted<'_>> = serde_json::from_slice(answer.body.as_bytes())
            .map_err(|_| KeyServiceError::Protocol("its answer has no key"))?;
        exchange::key_of(answer.data.plaintext)
    }

    /// Deletes the keys of all tenants, those of forgotten ones included, and then that of the
    /// vault: at most 100 in one call. The token needs `list` on `<mount>/keys` and the rights that
    /// [`delete_key`](Self::delete_key) needs.
    fn destroy(&self) -> Result<Destruction, KeyServiceError> {
        let names = self.key_names()?;
        for name in names.iter().take(MAX_DELETED) {
            self.delete(name)?;
        }
        Ok(if names.len() > MAX_DELETED {
            Destruction::Underway
        } else {
            Destruction::Done
        })
    }
}

impl fmt::Debug for VaultTransit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultTransit")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Returns the meaning of an answer that is not a success. The engine answers most failures with
/// 400 and a sentence, of which only known phrases are recognised.
fn failure(answer: &HttpResponse) -> KeyServiceError {
    if let Some(unavailable) = exchange::unavailable(answer.status, &answer.headers) {
        return unavailable;
    }
    match answer.status {
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => return KeyServiceError::Denied,
        StatusCode::NOT_FOUND => return KeyServiceError::UnknownKey,
        StatusCode::BAD_REQUEST => {}
        _ => return KeyServiceError::Protocol("it refused the request"),
    }
    let Ok(failure) = serde_json::from_slice::<Failure<'_>>(answer.body.as_bytes()) else {
        return KeyServiceError::Protocol("its answer cannot be read");
    };
    let says = |phrase: &str| failure.errors.iter().any(|error| error.contains(phrase));
    if says("encryption key not found") || says("no existing key") || says("could not find key") {
        KeyServiceError::UnknownKey
    } else if says("disallowed by policy") || says("soft deleted") {
        KeyServiceError::Disabled
    } else if says("message authentication failed") || says("invalid ciphertext") {
        KeyServiceError::Mismatch
    } else {
        KeyServiceError::Protocol("it refused the request")
    }
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn is_path(text: &str) -> bool {
    !text.is_empty()
        && text
            .split('/')
            .all(|part| !part.is_empty() && part.bytes().all(is_name_byte))
}

#[cfg(test)]
mod tests;
