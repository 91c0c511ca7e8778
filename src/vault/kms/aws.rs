//! AWS Key Management Service.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::clock::{Clock, SystemClock};
use crate::http::{HttpClient, HttpRequest};
use crate::model::Timestamp;
use crate::secret::SecretBytes;
use crate::vault::kms::exchange;
use crate::vault::{Destruction, KeyContext, KeyEncryption, KeyServiceError};

/// The media type of the service's requests.
const JSON: &str = "application/x-amz-json-1.1";

/// The days that the service can wait before it deletes a key.
const SHORTEST_DELETION: u8 = 7;
const LONGEST_DELETION: u8 = 30;

/// Returns current credentials.
type CredentialSource = dyn Fn() -> Result<AwsCredentials, KeyServiceError> + Send + Sync;

/// A symmetric encryption key of AWS Key Management Service.
///
/// The context of each wrapped key is sent as the
/// [encryption context](https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html),
/// so that CloudTrail shows which tenant's key was used, and a policy can restrict it. The names of
/// tenants therefore appear in CloudTrail.
///
/// The credentials need `kms:Encrypt` and `kms:Decrypt` on the key, and `kms:ScheduleKeyDeletion`
/// and `kms:DescribeKey` to destroy it.
///
/// ```no_run
/// use valetkey::http::UreqClient;
/// use valetkey::vault::kms::{AwsCredentials, AwsKms};
/// use valetkey::vault::{MasterKeys, SqliteVault};
///
/// let kms = AwsKms::new(
///     "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
///     || Ok(AwsCredentials::new(std::env::var("AWS_ACCESS_KEY_ID").unwrap_or_default(), "secret")),
///     UreqClient::new(),
/// )?;
/// let vault = SqliteVault::open("agent.db", MasterKeys::wrapped_by(kms))?;
/// # Ok::<(), valetkey::vault::VaultError>(())
/// ```
pub struct AwsKms {
    arn: String,
    region: String,
    endpoint: Url,
    credentials: Arc<CredentialSource>,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    deletion_days: u8,
}

/// Credentials of an AWS principal.
///
/// The signing library keeps copies while it signs a request and wipes them afterwards.
pub struct AwsCredentials(Credentials);

impl AwsCredentials {
    /// Returns long-term credentials.
    #[must_use]
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self(Credentials::new(
            access_key_id,
            secret_access_key,
            None,
            None,
            "host",
        ))
    }

    /// Returns temporary credentials, such as those of a role.
    #[must_use]
    pub fn temporary(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        session_token: impl Into<String>,
    ) -> Self {
        Self(Credentials::new(
            access_key_id,
            secret_access_key,
            Some(session_token.into()),
            None,
            "host",
        ))
    }
}

impl fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsCredentials([redacted])")
    }
}

impl AwsKms {
    /// Returns the key with this ARN.
    ///
    /// `credentials` is called for each request, so that the host can return temporary credentials
    /// that it keeps current. It must not wait for the network.
    ///
    /// # Errors
    ///
    /// [`KeyServiceError::Protocol`] if the text is not the ARN of a key. An alias is not accepted,
    /// because it can later name another key.
    pub fn new(
        arn: impl Into<String>,
        credentials: impl Fn() -> Result<AwsCredentials, KeyServiceError> + Send + Sync + 'static,
        http: impl HttpClient,
    ) -> Result<Self, KeyServiceError> {
        let arn = arn.into();
        let (region, suffix) = region_of(&arn).ok_or(KeyServiceError::Protocol(
            "the name must be the ARN of a key: arn:aws:kms:<region>:<account>:key/<id>",
        ))?;
        let endpoint = Url::parse(&format!("https://kms.{region}.{suffix}/"))
            .map_err(|_| KeyServiceError::Protocol("the region in the ARN is not the name of a region"))?;
        Ok(Self {
            region: region.to_owned(),
            arn,
            endpoint,
            credentials: Arc::new(credentials),
            http: Arc::new(http),
            clock: Arc::new(SystemClock),
            deletion_days: LONGEST_DELETION,
        })
    }

    /// Sets the address of the service: a VPC endpoint, a FIPS endpoint or a local substitute.
    #[must_use]
    pub fn endpoint(self, endpoint: Url) -> Self {
        Self { endpoint, ..self }
    }

    /// Sets the number of days that the service waits before it deletes the key after
    /// [`destroy`](KeyEncryption::destroy): from 7 to 30. Other numbers are set to the nearest of
    /// them. Default: 30.
    #[must_use]
    pub fn deletion_days(self, days: u8) -> Self {
        let deletion_days = days.clamp(SHORTEST_DELETION, LONGEST_DELETION);
        Self {
            deletion_days,
            ..self
        }
    }

    /// Sets the clock that dates the signatures, for tests.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    fn call(
        &self,
        operation: &'static str,
        body: &impl Serialize,
    ) -> Result<crate::http::Body, KeyServiceError> {
        let mut body = exchange::json(body)?;
        let target = format!("TrentService.{operation}");
        let mut request = HttpRequest::new(Method::POST, self.endpoint.clone());
        let signed = [("content-type", JSON), ("x-amz-target", target.as_str())];
        for (name, value) in self.sign(&signed, &body)? {
            request = request
                .with_secret_header(name, value)
                .map_err(|_| KeyServiceError::Denied)?;
        }
        let target = HeaderValue::from_str(&target)
            .map_err(|_| KeyServiceError::Protocol("an operation is not a header value"))?;
        let request = request
            .with_header(CONTENT_TYPE, HeaderValue::from_static(JSON))
            .with_header(HeaderName::from_static("x-amz-target"), target)
            .with_body(std::mem::take(&mut *body));
        let answer = exchange::send(&*self.http, request, exchange::MAX_RESPONSE_BYTES)?;
        if answer.status == StatusCode::OK {
            return Ok(answer.body);
        }
        Err(failure(answer.body.as_bytes())
            .or_else(|| exchange::unavailable(answer.status, &answer.headers))
            .unwrap_or(KeyServiceError::Protocol("it refused the request")))
    }

    /// Returns the headers that authenticate the request.
    fn sign(
        &self,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Vec<(HeaderName, SecretBytes)>, KeyServiceError> {
        let unsigned = |_| KeyServiceError::Protocol("the request cannot be signed");
        let identity = (self.credentials)()?.0.into();
        let millis = u64::try_from(self.clock.now().as_unix_millis()).unwrap_or(0);
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("kms")
            .time(UNIX_EPOCH + Duration::from_millis(millis))
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| KeyServiceError::Protocol("the request cannot be signed"))?
            .into();
        let request = SignableRequest::new(
            "POST",
            self.endpoint.as_str(),
            headers.iter().copied(),
            SignableBody::Bytes(body),
        )
        .map_err(unsigned)?;
        let (signature, _) = sign(request, &parameters).map_err(unsigned)?.into_parts();
        signature
            .headers()
            .map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| KeyServiceError::Protocol("a signed header has no valid name"))?;
                Ok((name, SecretBytes::new(value.as_bytes().to_vec())))
            })
            .collect()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EncryptRequest<'a> {
    key_id: &'a str,
    plaintext: &'a str,
    encryption_context: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DecryptRequest<'a> {
    key_id: &'a str,
    ciphertext_blob: &'a str,
    encryption_context: BTreeMap<&'static str, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EncryptAnswer<'a> {
    #[serde(borrow)]
    ciphertext_blob: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DecryptAnswer<'a> {
    // Base64 contains nothing that JSON escapes, so that the text is never copied.
    plaintext: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ScheduleRequest<'a> {
    key_id: &'a str,
    pending_window_in_days: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeRequest<'a> {
    key_id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScheduleAnswer {
    /// In seconds since 1970.
    deletion_date: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeAnswer {
    key_metadata: KeyMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyMetadata {
    deletion_date: Option<f64>,
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow, rename = "__type")]
    kind: Cow<'a, str>,
}

impl KeyEncryption for AwsKms {
    fn name(&self) -> &str {
        &self.arn
    }

    fn wrap(&self, key: &SecretBytes, context: &KeyContext<'_>) -> Result<Vec<u8>, KeyServiceError> {
        let answer = self.call(
            "Encrypt",
            &EncryptRequest {
                key_id: &self.arn,
                plaintext: &exchange::base64_of(key),
                encryption_context: context.pairs().into_iter().collect(),
            },
        )?;
        let answer: EncryptAnswer<'_> = serde_json::from_slice(answer.as_bytes())
            .map_err(|_| KeyServiceError::Protocol("its answer has no wrapped key"))?;
        STANDARD
            .decode(answer.ciphertext_blob.as_bytes())
            .map_err(|_| KeyServiceError::Protocol("its answer contains no base64"))
    }

    fn unwrap(&self, wrapped: &[u8], context: &KeyContext<'_>) -> Result<SecretBytes, KeyServiceError> {
        let answer = self.call(
            "Decrypt",
            &DecryptRequest {
                key_id: &self.arn,
                ciphertext_blob: &STANDARD.encode(wrapped),
                encryption_context: context.pairs().into_iter().collect(),
            },
        )?;
        let answer: DecryptAnswer<'_> = serde_json::from_slice(answer.as_bytes())
            .map_err(|_| KeyServiceError::Protocol("its answer has no key"))?;
        exchange::key_of(answer.plaintext)
    }

    /// Schedules the deletion of the key. From then on the service neither wraps nor unwraps with
    /// it; until the day of the deletion, someone with `kms:CancelKeyDeletion` can bring it back.
    fn destroy(&self) -> Result<Destruction, KeyServiceError> {
        let scheduled = self.call(
            "ScheduleKeyDeletion",
            &ScheduleRequest {
                key_id: &self.arn,
                pending_window_in_days: self.deletion_days,
            },
        );
        let date = match scheduled {
            Ok(answer) => {
                let answer: Option<ScheduleAnswer> = serde_json::from_slice(answer.as_bytes()).ok();
                answer.map(|answer| answer.deletion_date)
            }
            // The deletion may be scheduled already.
            Err(KeyServiceError::Disabled) => self.deletion_date()?,
            Err(KeyServiceError::UnknownKey) => return Ok(Destruction::Done),
            Err(error) => return Err(error),
        };
        let date = date.ok_or(KeyServiceError::Protocol(
            "its answer has no day of the deletion; a key with replicas must be deleted at the service",
        ))?;
        Ok(Destruction::Scheduled(timestamp(date)))
    }
}

impl AwsKms {
    /// Returns the day on which the key is deleted, in seconds since 1970.
    fn deletion_date(&self) -> Result<Option<f64>, KeyServiceError> {
        let answer = self.call("DescribeKey", &DescribeRequest { key_id: &self.arn })?;
        let answer: DescribeAnswer = serde_json::from_slice(answer.as_bytes())
            .map_err(|_| KeyServiceError::Protocol("its answer does not describe the key"))?;
        Ok(answer.key_metadata.deletion_date)
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the time is rounded, and too large values are limited"
)]
fn timestamp(seconds: f64) -> Timestamp {
    Timestamp::from_unix_millis((seconds * 1_000.0) as i64)
}

impl fmt::Debug for AwsKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKms")
            .field("arn", &self.arn)
            .finish_non_exhaustive()
    }
}

/// Returns the region in the ARN of a key, and the domain of its partition.
fn region_of(arn: &str) -> Option<(&str, &'static str)> {
    let mut parts = arn.split(':');
    let ("arn", partition, "kms", region, account, key, None) = (
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next(),
    ) else {
        return None;
    };
    let suffix = match partition {
        "aws" | "aws-us-gov" => "amazonaws.com",
        "aws-cn" => "amazonaws.com.cn",
        _ => return None,
    };
    let is_region = !region.is_empty()
        && region
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_account = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
    let is_key = key.strip_prefix("key/").is_some_and(|id| {
        !id.is_empty()
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    (is_region && is_account && is_key).then_some((region, suffix))
}

/// Returns the meaning of an error that the service named.
fn failure(body: &[u8]) -> Option<KeyServiceError> {
    let failure: Failure<'_> = serde_json::from_slice(body).ok()?;
    // Some answers put the name behind the namespace of the service.
    let name = failure.kind.rsplit('#').next()?;
    Some(match name {
        "AccessDeniedException"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException"
        | "InvalidClientTokenId"
        | "ExpiredTokenException"
        | "InvalidGrantTokenException" => KeyServiceError::Denied,
        "NotFoundException" => KeyServiceError::UnknownKey,
        "DisabledException" | "KMSInvalidStateException" => KeyServiceError::Disabled,
        "InvalidCiphertextException" | "IncorrectKeyException" => KeyServiceError::Mismatch,
        "ThrottlingException"
        | "LimitExceededException"
        | "KMSInternalException"
        | "DependencyTimeoutException"
        | "KeyUnavailableException"
        | "RequestExpired"
        | "ServiceUnavailable" => KeyServiceError::Unavailable { retry_after: None },
        "InvalidKeyUsageException" => KeyServiceError::Protocol("the key is not for encryption"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
