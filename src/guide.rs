//! Guides for hosts, from a first program to operation.
//!
//! Their code is compiled and run by the tests.

#[doc = include_str!("../docs/guide/getting_started.md")]
#[doc = "\n# The consent flow\n"]
#[doc = include_str!("../docs/images/consent.svg")]
pub mod getting_started {}

#[doc = include_str!("../docs/guide/first_provider.md")]
pub mod first_provider {}

#[doc = include_str!("../docs/guide/gateway.md")]
pub mod gateway {}

#[doc = include_str!("../docs/guide/tenants.md")]
pub mod tenants {}

#[doc = include_str!("../docs/guide/keys.md")]
#[doc = "\n# The key hierarchy\n"]
#[doc = include_str!("../docs/images/keys.svg")]
pub mod keys {}

#[doc = include_str!("../docs/guide/upkeep.md")]
#[doc = "\n# The states of a refresh\n"]
#[doc = include_str!("../docs/images/refresh.svg")]
pub mod upkeep {}

#[doc = include_str!("../docs/guide/processes.md")]
pub mod processes {}

#[cfg(feature = "postgres")]
#[doc = include_str!("../docs/guide/several_machines.md")]
pub mod several_machines {}

#[doc = include_str!("../docs/guide/async_hosts.md")]
pub mod async_hosts {}

#[doc = include_str!("../docs/guide/bots_and_desktop.md")]
pub mod bots_and_desktop {}

#[doc = include_str!("../docs/guide/custom_stores.md")]
#[doc = "\n# The records of a vault\n"]
#[doc = include_str!("../docs/images/records.svg")]
pub mod custom_stores {}

#[doc = include_str!("../docs/guide/descriptors.md")]
pub mod descriptors {}

#[cfg(feature = "mcp")]
#[doc = include_str!("../docs/guide/mcp.md")]
pub mod mcp {}

#[doc = include_str!("../docs/guide/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/guide/upgrading.md")]
pub mod upgrading {}
