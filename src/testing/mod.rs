//! Tools for testing a host's use of this crate, without network access, waiting or accounts.
//!
//! * [`Host`]: everything below, set up in one call.
//! * [`Sandbox`]: an in-process authorization server with an account endpoint and an API.
//! * [`ManualClock`]: a clock controlled by the test.
//! * [`FaultClient`]: an HTTP client whose requests fail on demand.
//! * [`assert_no_secrets`]: checks that prompts, transcripts and logs of a turn contain no token.
//! * [`vault_contract`]: the contract of [`Vault`](crate::vault::Vault) as checks that you can run
//!   on your own implementation.

mod clock;
mod events;
mod fault;
mod host;
mod safety;
pub mod sandbox;
pub mod vault_contract;

pub use self::clock::ManualClock;
pub use self::events::EventLog;
pub use self::fault::{Fault, FaultClient, FaultScript, Gate};
pub use self::host::{Host, HostBuilder};
pub use self::safety::assert_no_secrets;
pub use self::sandbox::Sandbox;
