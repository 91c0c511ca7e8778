//! Code that must not compile: the compiler checks these assertions and fails the build of this
//! test.
//!
//! Add a new secret type to `secret!` below, and a type that contains one to `carrier!`. The test
//! fails if a type of `src/secret.rs` is missing here.

use std::fmt::Display;
use std::ops::Deref;

use static_assertions::{assert_impl_all, assert_not_impl_any};
use syn::Item;
use syn::parse::ParseStream;
use valetkey::connections::PreparedConsent;
use valetkey::http::{Body, HttpRequest, HttpResponse};
use valetkey::internals::protocol::{Outcome, TokenResponse};
use valetkey::internals::secret::{
    AuthorizationCode, IdToken, IdentityAssertion, PkceVerifier, RefreshToken, SecretBytes, State,
};
use valetkey::internals::vault::envelope::{AuditKey, DataKey, Fields};
use valetkey::internals::vault::{Claimed, PendingRevocation, Revoked, StoredToken, Tokens};
use valetkey::provider::ClientRegistration;
use valetkey::resolver::{ConsentRequest, Redactor, ResolvedToken, Turn};
use valetkey::vault::{MasterKey, MasterKeys};
use valetkey::{
    AccessToken, AuthorizationResponse, Binding, ClientSecret, Connections, Consent, Resolver, Ticket,
};

macro_rules! secret {
    ($($name:ty),* $(,)?) => {
        $(
            // Wiped on drop, so it must not be copied; printed as `[redacted]`, so `Debug` is the
            // only format.
            assert_not_impl_any!($name: Clone, Copy, Display, PartialEq, PartialOrd, std::hash::Hash, Deref);
            assert_not_impl_any!($name: serde::Serialize, AsRef<str>, AsRef<[u8]>, ToString, Into<String>);
            assert_impl_all!($name: std::fmt::Debug, Send, Sync);
        )*
    };
}

secret! {
    AccessToken, RefreshToken, ClientSecret, AuthorizationCode, Binding, Ticket, State, PkceVerifier, IdToken, IdentityAssertion,
    SecretBytes, MasterKey, DataKey, AuditKey, Fields,
}

macro_rules! carrier {
    ($($name:ty),* $(,)?) => {
        $(
            // Types that contain secrets must not derive copying, printing or serialization.
            assert_not_impl_any!($name: Clone, Copy, Display, PartialEq, serde::Serialize, ToString);
            assert_impl_all!($name: std::fmt::Debug);
        )*
    };
}

carrier! {
    Body, HttpRequest, HttpResponse, AuthorizationResponse, Outcome, TokenResponse, ClientRegistration, Consent,
    PreparedConsent, ResolvedToken, Turn, ConsentRequest, Redactor, Tokens, StoredToken, Claimed, Revoked, PendingRevocation,
}

// Shared, because several vaults may be opened with them.
assert_not_impl_any!(MasterKeys: Copy, Display, PartialEq, serde::Serialize);

// Types that a host shares between its threads.
assert_impl_all!(Connections: Clone, Send, Sync);
assert_impl_all!(Resolver: Clone, Send, Sync);

#[test]
fn promise_27_secrets_are_not_copied_printed_compared_or_serialised() {
    // Everything was checked when this file was compiled.
    assert_eq!(
        format!("{:?}", AccessToken::new("tok")),
        "AccessToken([redacted])"
    );
}

/// Returns the types that the `secret!` calls in a file name.
fn secrets(source: &str) -> Vec<String> {
    let file = syn::parse_file(source).unwrap();
    let mut names = Vec::new();
    for item in file.items {
        if let Item::Macro(call) = item
            && call.mac.path.is_ident("secret")
        {
            names.extend(call.mac.parse_body_with(words).unwrap());
        }
    }
    names
}

/// Returns the names in a list, ignoring their documentation.
fn words(input: ParseStream<'_>) -> syn::Result<Vec<String>> {
    let mut names = Vec::new();
    while !input.is_empty() {
        input.call(syn::Attribute::parse_outer)?;
        names.push(input.parse::<syn::Ident>()?.to_string());
        input.parse::<Option<syn::Token![,]>>()?;
    }
    Ok(names)
}

#[test]
fn promise_27_no_secret_type_is_forgotten() {
    let declared = secrets(include_str!("../../src/secret.rs"));
    assert!(declared.len() >= 9, "{declared:?}");
    let asserted = secrets(include_str!("compile_fail.rs"));
    for name in declared {
        assert!(asserted.contains(&name), "{name} is not asserted to be a secret");
    }
}
