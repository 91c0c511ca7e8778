//! Revocation: the effects here and at the provider, and the report.

mod bulk;
mod counts;
mod former_grants;
mod grant_family_end;
mod outcomes;
mod residue;
mod revocation;
#[path = "../support/mod.rs"]
mod support;
mod wins_over_refresh;
