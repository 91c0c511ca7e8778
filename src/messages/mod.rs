//! Every variant of every error has a message that a person can act on.

mod descriptors;
mod vault;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use syn::Item;

use crate::connections::Connections;
use crate::error::{
    AuthorizationError, ConsentError, ConsentReason, ConsentRequired, Error, Misconfigured, RequestRefused,
};
use crate::http::HttpError;
use crate::loopback::LoopbackError;
use crate::model::{ConsentId, FailureCode, InvalidValue, Label, ProviderId, ServerId};
use crate::protocol::{IdTokenError, RequestError};
use crate::provider::{AuthorizationServer, InvalidDescriptor};
use crate::resolver::mcp::RequestStateError;
use crate::vault::{SealedVault, VaultError};

/// The maximum length of a message, in bytes.
const LONGEST: usize = 240;

/// Phrases of which a message has at least one: an action, or the valid choices.
const ACTIONS: [&str; 57] = [
    "check ",
    "send ",
    "honor ",
    "see ",
    "upgrade ",
    "add ",
    "allowed",
    "ask for",
    "at most",
    "call ",
    "choose ",
    "close ",
    "compare",
    "connect ",
    "continue ",
    "correct ",
    "create ",
    "did you mean",
    "enable ",
    "expected ",
    "free ",
    "give ",
    "grant ",
    "have ",
    "if its API",
    "known are",
    "let ",
    "list ",
    "make ",
    "may have",
    "move ",
    "must ",
    "name a",
    "needs ",
    "one of",
    "open it",
    "pass ",
    "percent-encode",
    "raise ",
    "register",
    "remove ",
    "repeat ",
    "request others",
    "restore ",
    "retry",
    "reuse ",
    "run as",
    "run that ",
    "run the ",
    "set ",
    "show ",
    "shorten ",
    "start ",
    "such as",
    "try again",
    "use ",
    "write ",
];

/// A message of a variant.
struct Sample {
    name: &'static str,
    variant: &'static str,
    message: String,
}

/// Creates a sample of a variant.
macro_rules! sample {
    ($name:ident :: $variant:ident $($rest:tt)*) => {
        $crate::messages::Sample {
            name: stringify!($name),
            variant: stringify!($variant),
            message: ($name::$variant $($rest)*).to_string(),
        }
    };
}
use sample;

/// Checks the samples of the enums in these files: each variant has one, and each message is a
/// fragment of reasonable length that names an action or the valid choices. Variants in `facts`
/// have neither.
fn check(files: &[&str], samples: &[Sample], facts: &[(&str, &str)]) {
    let names: BTreeSet<&str> = samples.iter().map(|sample| sample.name).collect();
    let mut expected = BTreeSet::new();
    for file in files {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
        let file = syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap();
        for item in file.items {
            if let Item::Enum(item) = item
                && names.contains(item.ident.to_string().as_str())
            {
                let name = item.ident.to_string();
                expected.extend(
                    item.variants
                        .iter()
                        .map(|it| (name.clone(), it.ident.to_string())),
                );
            }
        }
    }
    let of = |sample: &Sample| (sample.name.to_owned(), sample.variant.to_owned());
    let found: BTreeSet<_> = samples.iter().map(of).collect();
    assert_eq!(found, expected, "variants without a sample");

    let mut exceptions: BTreeSet<_> = facts.iter().copied().collect();
    let mut problems = Vec::new();
    for sample in samples {
        let acts = ACTIONS.iter().any(|action| sample.message.contains(action));
        let is_fact = facts.contains(&(sample.name, sample.variant));
        exceptions.remove(&(sample.name, sample.variant));
        if acts == is_fact {
            problems.push((sample, "says what to do, unless it is a fact"));
        }
        problems.extend(problem(sample).map(|problem| (sample, problem)));
    }
    let problems: Vec<String> = problems
        .iter()
        .map(|(sample, problem)| {
            format!(
                "{problem}: {}::{}: {}",
                sample.name, sample.variant, sample.message
            )
        })
        .collect();
    assert!(problems.is_empty(), "a message\n{}", problems.join("\n"));
    assert!(exceptions.is_empty(), "facts without a variant: {exceptions:?}");
}

/// Returns the first problem with the form of a message.
fn problem(Sample { variant, message, .. }: &Sample) -> Option<&'static str> {
    const DEBUG: [&str; 7] = ["Some(", "Ok(", "Err(", "None", " { ", "([", "[\""];
    let is_camel = variant.chars().filter(char::is_ascii_uppercase).count() > 1;
    if message.is_empty() || message.len() > LONGEST {
        Some("has a reasonable length")
    } else if message.ends_with(['.', '!', ' ']) || message.contains(". ") {
        Some("is one fragment without a final stop")
    } else if message.contains(['\n', '\t']) || message.contains("  ") {
        Some("is one line")
    } else if DEBUG.iter().any(|debug| message.contains(debug)) || is_camel && message.contains(variant) {
        Some("contains no Debug output")
    } else {
        None
    }
}

fn gmail() -> ProviderId {
    ProviderId::new("gmail").unwrap()
}

fn google() -> ServerId {
    ServerId::new("google").unwrap()
}

fn id() -> ConsentId {
    ConsentId::from_bytes([7; 16])
}

fn descriptor() -> Box<InvalidDescriptor> {
    let server = AuthorizationServer::new(google(), "https://a.example/a", "https://a.example/t");
    let error = Connections::builder(SealedVault::in_memory())
        .server(server)
        .build();
    match error.unwrap_err() {
        Error::Misconfigured(Misconfigured::Descriptor(error)) => error,
        other => panic!("{other}"),
    }
}

fn errors() -> Vec<Sample> {
    let value = InvalidValue::from(crate::model::Rule::MissingState);
    let parameter = crate::provider::InvalidParameter {
        name: "site".into(),
        problem: crate::provider::ParameterProblem::Missing,
    };
    vec![
        sample!(Error::ConsentRequired(Box::new(ConsentRequired::new(
            gmail(),
            ConsentReason::NotConnected
        )))),
        sample!(Error::Ambiguous {
            provider: gmail().into(),
            accounts: 2,
            labels: vec![Label::new("private").unwrap(), Label::new("work").unwrap()],
        }),
        sample!(Error::LabelRequired(gmail().into())),
        sample!(Error::ChoiceRequired {
            provider: gmail().into(),
            parameter: "site".into(),
            choices: vec!["one".into(), "two".into()],
        }),
        sample!(Error::Consent(ConsentError::Expired)),
        sample!(Error::Denied {
            provider: gmail().into(),
            tool: Some("search_mail".into()),
        }),
        sample!(Error::NotFound),
        sample!(Error::NotPermitted),
        sample!(Error::Unavailable {
            provider: Some(gmail().into()),
            failure: FailureCode::TimedOut,
            retry_after: Some(Duration::from_millis(29_500)),
        }),
        sample!(Error::Vault(VaultError::Busy)),
        sample!(Error::RandomUnavailable),
        sample!(Error::Misconfigured(Misconfigured::NoClient(google()))),
        sample!(Error::UnknownProvider {
            given: Some("gmial".into()),
            known: vec![gmail()],
        }),
        sample!(Error::Parameter(parameter)),
        sample!(Error::InvalidValue(value)),
        sample!(Error::NotOneGrant(gmail().into())),
        sample!(Error::InUse(gmail().into())),
        #[cfg(feature = "mcp")]
        sample!(Error::Mcp(crate::error::McpError::RegistrationRequired)),
        sample!(Error::Request(RequestRefused::NoBase)),
        sample!(Error::AnswerTooLarge { limit: Some(1024) }),
    ]
}

fn misconfigured() -> Vec<Sample> {
    vec![
        sample!(Misconfigured::UnknownProvider(gmail())),
        sample!(Misconfigured::NoClient(google())),
        sample!(Misconfigured::UnknownServer(google())),
        sample!(Misconfigured::ClientRejected(google())),
        sample!(Misconfigured::RequestRejected {
            server: google(),
            failure: FailureCode::RequestRejected,
        }),
        sample!(Misconfigured::IssuerChanged(google())),
        sample!(Misconfigured::ClientChanged(google())),
        sample!(Misconfigured::InstanceNotRegistered(google())),
        sample!(Misconfigured::NoLoopbackRedirect(google())),
        sample!(Misconfigured::Descriptor(descriptor())),
        sample!(Misconfigured::Client(descriptor())),
        sample!(Misconfigured::StoredParameter {
            server: google(),
            name: "site".into(),
        }),
        sample!(Misconfigured::NoUploads),
        sample!(Misconfigured::NoHttpClient),
    ]
}

fn consents() -> Vec<Sample> {
    vec![
        sample!(ConsentError::Unknown),
        sample!(ConsentError::Used(id())),
        sample!(ConsentError::Expired),
        sample!(ConsentError::WrongUser),
        sample!(ConsentError::WrongBrowser),
        sample!(ConsentError::IssuerMismatch),
        sample!(ConsentError::Denied(AuthorizationError::AccessDenied)),
        sample!(ConsentError::ExchangeFailed(FailureCode::UnknownTokenType)),
        sample!(ConsentError::AccountMismatch),
        sample!(ConsentError::AccountUnknown),
        sample!(ConsentError::Conflict),
        sample!(AuthorizationError::AccessDenied),
        sample!(AuthorizationError::InvalidRequest),
        sample!(AuthorizationError::UnauthorizedClient),
        sample!(AuthorizationError::UnsupportedResponseType),
        sample!(AuthorizationError::InvalidScope),
        sample!(AuthorizationError::ServerError),
        sample!(AuthorizationError::TemporarilyUnavailable),
        sample!(AuthorizationError::ConsentRequired),
        sample!(AuthorizationError::LoginRequired),
        sample!(AuthorizationError::InteractionRequired),
        sample!(AuthorizationError::InvalidTarget),
        sample!(AuthorizationError::Other),
        sample!(LoopbackError::Listen(ErrorKind::AddrInUse)),
        sample!(LoopbackError::Browser(ErrorKind::NotFound)),
        sample!(LoopbackError::TimedOut),
        sample!(LoopbackError::Redirect),
        sample!(LoopbackError::Connection(Error::NotFound)),
    ]
}

fn requests() -> Vec<Sample> {
    vec![
        sample!(RequestRefused::Address),
        sample!(RequestRefused::ForeignCredentials),
        sample!(RequestRefused::Method),
        sample!(RequestRefused::Override),
        sample!(RequestRefused::NoBase),
        sample!(RequestRefused::Malformed),
        sample!(RequestRefused::Placeholder),
        sample!(RequestRefused::TooManyPlaceholders),
        sample!(RequestRefused::Header),
        sample!(RequestRefused::Client),
        sample!(RequestRefused::Upload(ErrorKind::NotFound)),
        sample!(RequestError::Endpoint),
        sample!(RequestError::RedirectUri),
        sample!(RequestError::ClientSecret),
        sample!(RequestError::PrivateKey),
        sample!(RequestError::Audience),
        sample!(RequestError::Random),
        sample!(RequestError::Header),
        sample!(RequestError::Target),
        sample!(IdTokenError::NotSigned),
        sample!(IdTokenError::Unreadable),
        sample!(IdTokenError::OtherIssuer),
        sample!(IdTokenError::OtherAudience),
        sample!(HttpError::UnknownHost),
        sample!(HttpError::Connect),
        sample!(HttpError::Proxy),
        sample!(HttpError::Tls),
        sample!(HttpError::Untrusted),
        sample!(HttpError::Refused),
        sample!(HttpError::PrivateAddress),
        sample!(HttpError::Timeout),
        sample!(HttpError::Interrupted),
        sample!(HttpError::TooLarge),
        sample!(HttpError::HeadTooLarge),
        sample!(HttpError::Protocol),
        sample!(RequestStateError::Forged),
        sample!(RequestStateError::WrongUser),
        sample!(RequestStateError::OtherCall),
        sample!(RequestStateError::OtherArguments),
        sample!(RequestStateError::Expired),
        sample!(RequestStateError::Used),
    ]
}

#[test]
fn each_message_is_a_fragment_that_says_what_to_do() {
    let facts = ["Denied", "NotFound", "NotPermitted"].map(|variant| ("Error", variant));
    check(&["error.rs"], &errors(), &facts);
    check(&["error.rs"], &misconfigured(), &[]);
    let facts = [
        ("ConsentError", "Denied"),
        ("AuthorizationError", "AccessDenied"),
        ("AuthorizationError", "Other"),
        ("LoopbackError", "Listen"),
        ("LoopbackError", "Browser"),
        ("LoopbackError", "Connection"),
    ];
    let files = ["error.rs", "protocol/callback.rs", "loopback/mod.rs"];
    check(&files, &consents(), &facts);
    // Causes inside other errors, which say what to do.
    let http = [
        "UnknownHost",
        "Connect",
        "Proxy",
        "Tls",
        "Timeout",
        "Interrupted",
        "TooLarge",
        "HeadTooLarge",
        "Protocol",
    ];
    let mut facts: Vec<_> = http.map(|variant| ("HttpError", variant)).into();
    facts.extend(
        ["NotSigned", "Unreadable", "OtherIssuer", "OtherAudience"].map(|variant| ("IdTokenError", variant)),
    );
    facts.extend(["Header", "Target"].map(|variant| ("RequestError", variant)));
    facts.extend(["Malformed", "Header", "Upload"].map(|variant| ("RequestRefused", variant)));
    let files = [
        "error.rs",
        "protocol/request_error.rs",
        "protocol/id_token.rs",
        "http/error.rs",
        "resolver/mcp/request_state.rs",
    ];
    check(&files, &requests(), &facts);
    let facts = [
        "KeyUnreadable",
        "UnsafePath",
        "Unsupported",
        "NotSupported",
        "TooLarge",
    ];
    check(
        &["vault/error.rs"],
        &vault::errors(),
        &facts.map(|variant| ("VaultError", variant)),
    );
    check(&["vault/transfer/error.rs"], &vault::transfers(), &[]);
    check(
        &["vault/key_service_error.rs"],
        &vault::key_services(),
        &["Mismatch", "Protocol"].map(|variant| ("KeyServiceError", variant)),
    );
}

#[test]
fn a_missing_consent_names_the_service_and_what_is_missing() {
    let mut need = ConsentRequired::new(gmail(), ConsentReason::NotConnected);
    need.provider_name = "Gmail".into();
    assert_eq!(
        need.to_string(),
        "Gmail: no account is connected; ask for consent"
    );
    let work = need.clone().labelled(Some(Label::new("work").unwrap()));
    assert_eq!(
        work.to_string(),
        "Gmail: no account is connected with the label \"work\"; ask for consent"
    );
    need.reason = ConsentReason::MissingScopes;
    let need = need.missing("calendar.events".parse().unwrap());
    assert_eq!(
        need.to_string(),
        "Gmail: the connection lacks the scope calendar.events; ask for consent"
    );
    let need = need.missing("a b c d e f g".parse().unwrap());
    assert_eq!(
        need.to_string(),
        "Gmail: the connection lacks the scopes a, b, c, d, e and 2 more; ask for consent"
    );
    for code in FailureCode::ALL {
        let message = code.to_string();
        assert!(message.len() < LONGEST && !message.ends_with('.'), "{message}");
    }
}
