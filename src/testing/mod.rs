//! What a host needs to test its own use of this crate: no network, no waiting, no account anywhere.
//!
//! * [`Sandbox`]: an authorization server with an account endpoint and an API behind it, in process.
//! * [`ManualClock`]: the time, moved by the test.
//! * [`FaultClient`]: a client whose next requests fail as the test says.
//! * [`vault_contract`]: what every vault must pass, whoever wrote it.

mod clock;
mod fault;
pub mod sandbox;
pub mod vault_contract;

pub use self::clock::ManualClock;
pub use self::fault::{Fault, FaultClient, FaultScript, Gate};
pub use self::sandbox::Sandbox;
