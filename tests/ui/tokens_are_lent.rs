//! Each line must fail to compile.

use valetkey::model::{Principal, Reach};
use valetkey::resolver::ResolvedToken;
use valetkey::{Consent, TenantId};

fn copied(token: &ResolvedToken) -> ResolvedToken {
    token.clone()
}

fn serialised(token: ResolvedToken) -> impl serde::Serialize {
    fn same<T: serde::Serialize>(value: T) -> T {
        value
    }
    same(token)
}

fn printed(consent: &Consent) -> String {
    format!("{consent}")
}

struct Impostor;

impl Principal for Impostor {
    fn tenant(&self) -> &TenantId {
        unimplemented!()
    }
    fn reach(&self) -> Reach<'_> {
        Reach::Tenant
    }
}

fn main() {}
