//! What a host needs to test its own use of this crate: no network, no waiting, no account
//! anywhere.
//!
//! * [`Host`]: all of it put together in one call.
//! * [`Sandbox`]: an authorization server with an account endpoint and an API behind it, in
//!   process.
//! * [`ManualClock`]: the time, moved by the test.
//! * [`FaultClient`]: a client whose next requests fail as the test says.
//! * [`assert_no_secrets`]: that prompts, transcripts and logs of a turn are clean.
//! * [`vault_contract`]: what every [`Vault`](crate::vault::Vault) must do, as checks to be run on
//!   yours.

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
