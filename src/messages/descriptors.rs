//! Every mistake in a descriptor, a registration or a value has a message that says what to write.

use super::{Sample, check, sample};
use crate::model::Rule;
use crate::provider::{
    DescriptorProblem, InvalidRedirect, InvalidTemplate, ParameterProblem, RedirectRules, RuleProblem,
};

fn name() -> String {
    "shop".into()
}

fn descriptors() -> Vec<Sample> {
    vec![
        sample!(DescriptorProblem::Unreadable {
            line: 1,
            column: 7,
            what: "expected a string".into(),
        }),
        sample!(DescriptorProblem::Template(InvalidTemplate::NotHttps)),
        sample!(DescriptorProblem::NotHttps),
        sample!(DescriptorProblem::NotBare),
        sample!(DescriptorProblem::ProtocolParameter(name())),
        sample!(DescriptorProblem::NoRule(name())),
        sample!(DescriptorProblem::WrongKind {
            name: name(),
            fitting: "\"word\" or \"one_of\"",
        }),
        sample!(DescriptorProblem::Credential(name())),
        sample!(DescriptorProblem::BuiltIn(name())),
        sample!(DescriptorProblem::NotDiscovered(name())),
        sample!(DescriptorProblem::Rule {
            name: name(),
            problem: RuleProblem::NoValues,
        }),
        sample!(DescriptorProblem::Scope),
        sample!(DescriptorProblem::Pointer),
        sample!(DescriptorProblem::NoPointer),
        sample!(DescriptorProblem::FromCallback(name())),
        sample!(DescriptorProblem::NotYetKnown(name())),
        sample!(DescriptorProblem::MayBeMissing(name())),
        sample!(DescriptorProblem::NotCovered),
        sample!(DescriptorProblem::Renamed(name())),
        sample!(DescriptorProblem::Header),
        sample!(DescriptorProblem::HeaderName(name())),
        sample!(DescriptorProblem::Lookalike("${name}")),
        sample!(DescriptorProblem::NoTemplate),
        sample!(DescriptorProblem::Braces),
        sample!(DescriptorProblem::Bar),
        sample!(DescriptorProblem::RefusalStatus),
        sample!(DescriptorProblem::DeadGrant),
        sample!(DescriptorProblem::Separator),
        sample!(DescriptorProblem::NoIssuer),
        sample!(DescriptorProblem::Value),
        sample!(DescriptorProblem::Empty),
        sample!(DescriptorProblem::Id),
        sample!(DescriptorProblem::Twice),
        sample!(DescriptorProblem::TwoClients),
        sample!(DescriptorProblem::ReplacesBuiltin),
        sample!(DescriptorProblem::ReplacesNothing),
        sample!(DescriptorProblem::UnknownServer {
            given: "acmee".into(),
            known: vec!["acme".into(), "google".into()],
        }),
        sample!(DescriptorProblem::ProviderNotServer {
            server: "google".into()
        }),
        sample!(DescriptorProblem::Redirect(InvalidRedirect::NotAbsolute)),
        sample!(DescriptorProblem::BaseUrl),
        sample!(DescriptorProblem::Wrapped),
        sample!(DescriptorProblem::ClientSecret { needs_secret: true }),
        sample!(DescriptorProblem::ClientSecret { needs_secret: false }),
        sample!(DescriptorProblem::PrivateKey { needs_key: true }),
        sample!(DescriptorProblem::PrivateKey { needs_key: false }),
        sample!(DescriptorProblem::KeyNotStored),
        sample!(DescriptorProblem::NoAudience),
    ]
}

fn rules() -> Vec<Sample> {
    vec![
        sample!(RuleProblem::Name),
        sample!(RuleProblem::Reserved),
        sample!(RuleProblem::Credential),
        sample!(RuleProblem::Twice),
        sample!(RuleProblem::NoValues),
        sample!(RuleProblem::Scheme),
        sample!(RuleProblem::Pattern),
        sample!(RuleProblem::Default),
        sample!(RuleProblem::Example),
        sample!(RuleProblem::CallbackName),
        sample!(RuleProblem::BaseUrlFromCallback),
        sample!(RuleProblem::Pointer),
        sample!(InvalidTemplate::Braces),
        sample!(InvalidTemplate::Lookalike("${name}")),
        sample!(InvalidTemplate::Bar),
        sample!(InvalidTemplate::Character('ü')),
        sample!(InvalidTemplate::Host(name())),
        sample!(InvalidTemplate::BehindBase(name())),
        sample!(InvalidTemplate::NoScheme),
        sample!(InvalidTemplate::NotHttps),
        sample!(InvalidTemplate::NotBare),
        sample!(InvalidTemplate::Url),
        sample!(InvalidRedirect::NotAbsolute),
        sample!(InvalidRedirect::Fragment),
        sample!(InvalidRedirect::UserInfo),
        sample!(InvalidRedirect::SchemeWithoutDomain),
        sample!(InvalidRedirect::SchemeOfConfidentialClient),
        sample!(InvalidRedirect::NotAccepted(RedirectRules::default())),
    ]
}

fn values() -> Vec<Sample> {
    vec![
        sample!(ParameterProblem::Unknown),
        sample!(ParameterProblem::Missing),
        sample!(ParameterProblem::Several),
        sample!(ParameterProblem::InternalHost),
        sample!(ParameterProblem::Malformed),
        sample!(Rule::Empty),
        sample!(Rule::TooLong),
        sample!(Rule::ControlCharacter),
        sample!(Rule::InvisibleCharacter),
        sample!(Rule::NotAUuid),
        sample!(Rule::ScopeEmpty),
        sample!(Rule::ScopeTooLong),
        sample!(Rule::ScopeCharacter),
        sample!(Rule::NotRfc3339),
        sample!(Rule::AuditHead),
        sample!(Rule::DuplicateParameter("state")),
        sample!(Rule::MissingState),
        sample!(Rule::MissingCode),
        sample!(Rule::CallbackTooLong),
        sample!(Rule::CallbackMalformed),
        sample!(Rule::PrivateKey),
        sample!(Rule::Roots),
        sample!(Rule::Proxy),
        sample!(Rule::Origin),
        sample!(Rule::BasePath),
        sample!(Rule::AccountLink),
        sample!(Rule::HostAddress),
        sample!(Rule::HostOrigin),
    ]
}

#[test]
fn each_message_is_a_fragment_that_says_what_to_write() {
    check(&["provider/problem.rs"], &descriptors(), &[]);
    check(
        &[
            "provider/problem.rs",
            "provider/template/invalid.rs",
            "provider/redirect.rs",
        ],
        &rules(),
        &[],
    );
    check(&["provider/parameter.rs", "model/invalid.rs"], &values(), &[]);
}
