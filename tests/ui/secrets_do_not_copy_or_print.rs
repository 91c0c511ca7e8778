//! Each line must fail to compile.

use valetkey::{AccessToken, AuthorizationCode, Binding, ClientSecret, RefreshToken};

fn copied(token: &AccessToken) -> AccessToken {
    token.clone()
}

fn printed(token: &RefreshToken) -> String {
    token.to_string()
}

fn compared(one: &ClientSecret, other: &ClientSecret) -> bool {
    one == other
}

fn dereferenced(code: &AuthorizationCode) -> &str {
    &**code
}

fn serialised(binding: &Binding) -> impl serde::Serialize {
    fn same<T: serde::Serialize>(value: T) -> T {
        value
    }
    same(binding)
}

fn main() {}
