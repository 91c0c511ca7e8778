use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use http::HeaderMap;

use super::*;
use crate::http::{Body, HttpError, HttpResponse};
use crate::model::Timestamp;
use crate::vault::MasterKey;
use crate::vault::kms::tests::{check_contract, check_vault, skipped};

const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn credentials() -> Result<AwsCredentials, KeyServiceError> {
    Ok(AwsCredentials::temporary(
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI",
        "session",
    ))
}

fn answering(status: u16, body: &'static str) -> AwsKms {
    let client = move |_: HttpRequest| {
        Ok(HttpResponse::new(
            StatusCode::from_u16(status).unwrap(),
            Body::from(body),
        ))
    };
    AwsKms::new(ARN, credentials, client).unwrap()
}

#[test]
fn only_the_arn_of_a_key_is_accepted() {
    for arn in [
        "",
        "alias/agents",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-central-1:111122223333:alias/agents",
        "arn:aws:kms::111122223333:key/1234",
        "arn:aws:kms:eu-central-1:111122223333:key/",
        "arn:aws:kms:evil.example/:111122223333:key/1234",
        "arn:aws:s3:eu-central-1:111122223333:key/1234",
        "arn:other:kms:eu-central-1:111122223333:key/1234",
        "arn:aws:kms:eu-central-1:111122223333:key/1234:more",
    ] {
        let refused = AwsKms::new(arn, credentials, |_: HttpRequest| Err(HttpError::Connect));
        assert!(matches!(refused, Err(KeyServiceError::Protocol(_))), "{arn}");
    }
    let china = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234";
    let kms = AwsKms::new(china, credentials, |_: HttpRequest| Err(HttpError::Connect)).unwrap();
    assert_eq!(kms.endpoint.as_str(), "https://kms.cn-north-1.amazonaws.com.cn/");
}

#[test]
fn failures_are_typed_and_repeat_nothing() {
    let table: [(u16, &str, KeyServiceError); 9] = [
        (
            400,
            r#"{"__type":"AccessDeniedException","message":"m4rker"}"#,
            KeyServiceError::Denied,
        ),
        (
            400,
            r#"{"__type":"com.amazonaws.kms#ExpiredTokenException"}"#,
            KeyServiceError::Denied,
        ),
        (
            400,
            r#"{"__type":"NotFoundException"}"#,
            KeyServiceError::UnknownKey,
        ),
        (
            400,
            r#"{"__type":"DisabledException"}"#,
            KeyServiceError::Disabled,
        ),
        (
            400,
            r#"{"__type":"KMSInvalidStateException"}"#,
            KeyServiceError::Disabled,
        ),
        (
            400,
            r#"{"__type":"InvalidCiphertextException"}"#,
            KeyServiceError::Mismatch,
        ),
        (
            400,
            r#"{"__type":"ThrottlingException"}"#,
            KeyServiceError::Unavailable { retry_after: None },
        ),
        (503, "m4rker", KeyServiceError::Unavailable { retry_after: None }),
        (
            400,
            r#"{"__type":"m4rker"}"#,
            KeyServiceError::Protocol("it refused the request"),
        ),
    ];
    for (status, body, expected) in table {
        let failed = answering(status, body)
            .unwrap(b"wrapped", &KeyContext::master_key())
            .unwrap_err();
        assert_eq!(failed, expected, "{body}");
        assert!(!failed.to_string().contains("m4rker"));
    }
    for body in ["", "{}", r#"{"Plaintext":"not base64!"}"#, r#"{"Plaintext":7}"#] {
        let failed = answering(200, body).unwrap(b"wrapped", &KeyContext::master_key());
        assert!(matches!(failed, Err(KeyServiceError::Protocol(_))), "{body}");
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_unavailable() {
    let kms = AwsKms::new(ARN, credentials, |_: HttpRequest| Err(HttpError::Timeout)).unwrap();
    let failed = kms.unwrap(b"wrapped", &KeyContext::master_key()).unwrap_err();
    assert!(failed.is_retryable());
    let denied = AwsKms::new(
        ARN,
        || Err(KeyServiceError::Denied),
        |_: HttpRequest| panic!("nothing is sent without credentials"),
    );
    let failed = denied.unwrap().unwrap(b"wrapped", &KeyContext::master_key());
    assert_eq!(failed.unwrap_err(), KeyServiceError::Denied);
}

/// The request as it is sent, and a signature that botocore computed for the same request.
#[test]
fn a_request_is_signed_as_botocore_signs_it() {
    let sent = Arc::new(Mutex::new(None::<(HeaderMap, Vec<u8>)>));
    let keep = Arc::clone(&sent);
    let client = move |request: HttpRequest| {
        *keep.lock().unwrap() = Some((request.headers.clone(), request.body.as_bytes().to_vec()));
        Err(HttpError::Connect)
    };
    let kms = AwsKms::new(ARN, credentials, client)
        .unwrap()
        .clock(|| Timestamp::from_unix_millis(1_796_000_000_000));
    let _ = kms.unwrap(b"wrapped", &KeyContext::master_key());
    let (headers, body) = sent.lock().unwrap().take().unwrap();
    assert_eq!(
        body,
        format!(
            r#"{{"KeyId":"{ARN}","CiphertextBlob":"d3JhcHBlZA==","EncryptionContext":{{"valetkey":"master key"}}}}"#
        )
        .as_bytes()
    );
    assert_eq!(headers["x-amz-date"], "20261130T005320Z");
    assert_eq!(headers["x-amz-security-token"], "session");
    assert_eq!(headers["x-amz-target"], "TrentService.Decrypt");
    assert!(headers["authorization"].is_sensitive());
    assert_eq!(headers["authorization"], BOTOCORE);
}

/// Computed once with botocore 1.x from the same credentials, time and request.
const BOTOCORE: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261130/eu-central-1/kms/aws4_request, \
                        SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, \
                        Signature=47d4245f9f9ec4c6af896ea32b622d4f97ab375d3a19067d244419f328bc7b19";

struct Moto {
    child: Child,
    address: Url,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts moto, an independent implementation of the service, if it is installed.
fn moto() -> Option<Moto> {
    let program =
        std::env::var_os("VALETKEY_MOTO_SERVER").map_or_else(|| "moto_server".into(), PathBuf::from);
    let mut child = Command::new(program)
        .args(["-H", "127.0.0.1", "-p", "0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines
        .map_while(Result::ok)
        .find_map(|line| {
            let at = line.find("http://127.0.0.1:")?;
            line[at..].split_whitespace().next()?.parse().ok()
        })
        .expect("moto says where it listens");
    Some(Moto { child, address })
}

#[cfg(feature = "ureq")]
#[test]
fn moto_wraps_keys() {
    let Some(moto) = moto() else {
        return skipped("moto");
    };
    let http = || crate::http::UreqClient::new().dangerous_loopback_http();
    let arn = create_key(&moto.address, &http());
    let kms = |arn: &str| {
        AwsKms::new(arn, credentials, http())
            .unwrap()
            .endpoint(moto.address.clone())
    };
    check_contract(&kms(&arn));
    check_vault(&Arc::new(kms(&arn)));
    let sealed = MasterKey::generate().unwrap().seal(&kms(&arn)).unwrap();
    assert!(MasterKey::unseal(&kms(&arn), &sealed).is_ok());
    let unknown = kms(&arn.replace("key/", "key/00000000-"));
    let failed = unknown.wrap(&SecretBytes::new(vec![7; 32]), &KeyContext::master_key());
    assert_eq!(failed.unwrap_err(), KeyServiceError::UnknownKey);

    let before = SystemClock.now();
    // For this operation moto knows keys by their id alone; the service accepts the ARN as well.
    let (inner, name) = (http(), arn.clone());
    let by_id = move |mut request: HttpRequest| {
        let body = String::from_utf8(request.body.as_bytes().to_vec()).unwrap();
        let (_, id) = name.rsplit_once('/').unwrap();
        request.body = Body::from(body.replace(&name, id));
        inner.send(request)
    };
    let doomed = AwsKms::new(arn.as_str(), credentials, by_id).unwrap();
    let scheduled = doomed
        .endpoint(moto.address.clone())
        .deletion_days(0)
        .destroy()
        .unwrap();
    let Destruction::Scheduled(until) = scheduled else {
        panic!("{scheduled:?}")
    };
    let days = |count: u64| Duration::from_secs(count * 24 * 3600);
    assert!(before + days(6) < until && until < before + days(8), "{until:?}");
}

/// Answers with these statuses and bodies in turn, and keeps the operations and bodies it was sent.
fn in_turn(answers: &[(u16, &'static str)]) -> (AwsKms, Arc<Mutex<Vec<String>>>) {
    let sent: Arc<Mutex<Vec<String>>> = Arc::default();
    let (keep, answers) = (Arc::clone(&sent), answers.to_vec());
    let client = move |request: HttpRequest| {
        let mut sent = keep.lock().unwrap();
        let (status, body) = answers[sent.len()];
        let target = request.headers["x-amz-target"].to_str().unwrap();
        sent.push(format!(
            "{target} {}",
            String::from_utf8_lossy(request.body.as_bytes())
        ));
        Ok(HttpResponse::new(
            StatusCode::from_u16(status).unwrap(),
            Body::from(body),
        ))
    };
    (AwsKms::new(ARN, credentials, client).unwrap(), sent)
}

#[test]
fn a_deletion_is_scheduled_once_and_its_day_is_returned() {
    let until = Timestamp::from_unix_millis(1_798_592_000_500);
    let day = r#"{"KeyId":"1","DeletionDate":1798592000.5,"KeyState":"PendingDeletion"}"#;
    let (kms, sent) = in_turn(&[(200, day)]);
    let kms = kms.deletion_days(200);
    assert_eq!(kms.destroy().unwrap(), Destruction::Scheduled(until));
    let expected =
        format!(r#"TrentService.ScheduleKeyDeletion {{"KeyId":"{ARN}","PendingWindowInDays":30}}"#);
    assert_eq!(*sent.lock().unwrap(), [expected]);

    let scheduled = (
        400,
        r#"{"__type":"KMSInvalidStateException","message":"is pending deletion"}"#,
    );
    let described = r#"{"KeyMetadata":{"KeyState":"PendingDeletion","DeletionDate":1798592000.5}}"#;
    let (kms, sent) = in_turn(&[scheduled, (200, described)]);
    assert_eq!(kms.destroy().unwrap(), Destruction::Scheduled(until));
    let asked = sent.lock().unwrap()[1].clone();
    assert_eq!(asked, format!(r#"TrentService.DescribeKey {{"KeyId":"{ARN}"}}"#));

    let replicated = r#"{"KeyMetadata":{"KeyState":"PendingReplicaDeletion"}}"#;
    let (kms, _) = in_turn(&[scheduled, (200, replicated)]);
    assert!(matches!(kms.destroy(), Err(KeyServiceError::Protocol(_))));
    let (kms, _) = in_turn(&[(400, r#"{"__type":"AccessDeniedException"}"#)]);
    assert_eq!(kms.destroy().unwrap_err(), KeyServiceError::Denied);
    let (kms, _) = in_turn(&[(400, r#"{"__type":"NotFoundException"}"#)]);
    assert_eq!(kms.destroy().unwrap(), Destruction::Done);
}

/// Creates a key with a request of the test's own, and returns its ARN.
#[cfg(feature = "ureq")]
fn create_key(address: &Url, http: &dyn HttpClient) -> String {
    let request = HttpRequest::new(Method::POST, address.clone())
        .with_header(CONTENT_TYPE, HeaderValue::from_static(JSON))
        .with_header(
            HeaderName::from_static("x-amz-target"),
            HeaderValue::from_static("TrentService.CreateKey"),
        )
        .with_header(
            http::header::AUTHORIZATION,
            HeaderValue::from_static(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261130/eu-central-1/kms/aws4_request, \
                 SignedHeaders=host, Signature=0",
            ),
        )
        .with_body("{}");
    let answer = http.send(request).unwrap();
    let answer: serde_json::Value = serde_json::from_slice(answer.body.as_bytes()).unwrap();
    answer["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
}
