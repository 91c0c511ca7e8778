//! Guides for hosts, from a first program to operation.
//!
//! Their code is compiled and run by the tests.

#[doc = include_str!("../docs/guide/getting_started.md")]
pub mod getting_started {}

#[doc = include_str!("../docs/guide/first_provider.md")]
pub mod first_provider {}

#[doc = include_str!("../docs/guide/gateway.md")]
pub mod gateway {}

#[doc = include_str!("../docs/guide/tenants.md")]
pub mod tenants {}

#[doc = include_str!("../docs/guide/keys.md")]
pub mod keys {}

#[doc = include_str!("../docs/guide/upkeep.md")]
pub mod upkeep {}

#[doc = include_str!("../docs/guide/processes.md")]
pub mod processes {}

#[doc = include_str!("../docs/guide/async_hosts.md")]
pub mod async_hosts {}

#[doc = include_str!("../docs/guide/bots_and_desktop.md")]
pub mod bots_and_desktop {}

#[doc = include_str!("../docs/guide/custom_stores.md")]
pub mod custom_stores {}

#[doc = include_str!("../docs/guide/descriptors.md")]
pub mod descriptors {}

#[doc = include_str!("../docs/guide/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/guide/upgrading.md")]
pub mod upgrading {}
