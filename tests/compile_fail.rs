//! What must not compile does not: these assertions are checked by the compiler, and fail the build of this test.

use std::fmt::Display;
use std::ops::Deref;

use static_assertions::{assert_impl_all, assert_not_impl_any};
use valetkey::resolver::{ResolvedToken, Turn};
use valetkey::secret::{IdToken, PkceVerifier, SecretBytes, State};
use valetkey::vault::envelope::{DataKey, MasterKey};
use valetkey::{
    AccessToken, AuthorizationCode, Binding, ClientSecret, Connections, Consent, RefreshToken, Resolver,
    Ticket,
};

macro_rules! secret {
    ($($name:ty),* $(,)?) => {
        $(
            // Wiped when dropped, so it must not be copied; printed as `[redacted]`, so it has `Debug` and no more.
            assert_not_impl_any!($name: Clone, Copy, Display, PartialEq, PartialOrd, std::hash::Hash, Deref);
            assert_not_impl_any!($name: serde::Serialize, AsRef<str>, AsRef<[u8]>, ToString, Into<String>);
            assert_impl_all!($name: std::fmt::Debug, Send, Sync);
        )*
    };
}

secret! {
    AccessToken, RefreshToken, ClientSecret, AuthorizationCode, Binding, Ticket, State, PkceVerifier, IdToken,
    SecretBytes, MasterKey, DataKey,
}

// What is lent for a turn is not copied, stored or sent on.
assert_not_impl_any!(ResolvedToken: Clone, Display, PartialEq, serde::Serialize);
assert_not_impl_any!(Turn: Clone, serde::Serialize);
assert_not_impl_any!(Consent: Clone, Display, serde::Serialize);

// What a host shares between its threads.
assert_impl_all!(Connections: Clone, Send, Sync);
assert_impl_all!(Resolver: Clone, Send, Sync);

#[test]
fn secrets_are_not_copied_printed_compared_or_serialised() {
    // All of it was checked when this file was compiled.
    assert_eq!(
        format!("{:?}", AccessToken::new("tok")),
        "AccessToken([redacted])"
    );
}
