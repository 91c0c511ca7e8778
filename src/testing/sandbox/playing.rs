//! Sandboxes that play a service.

use super::surface::Surface;
use super::{Personality, Sandbox, services};
use crate::clock::Clock;

/// A sandbox that plays a service.
impl Sandbox {
    /// Creates a sandbox that plays a service of the catalog: at its real addresses, in process,
    /// with its quirks.
    ///
    /// # Panics
    ///
    /// If there is no service with this id.
    pub fn playing(service: &str, clock: impl Clock) -> Self {
        let (surface, personality) = services::service(service).expect("the sandbox plays this service");
        Self::playing_as(surface, personality, clock)
    }

    /// Creates a sandbox that plays a service at these addresses with this behavior.
    pub fn playing_as(surface: Surface, personality: Personality, clock: impl Clock) -> Self {
        let sandbox = Self::new(clock);
        {
            let mut world = sandbox.world();
            world.surface = Some(surface);
            world.personality = personality;
        }
        sandbox
    }

    /// Returns the services that [`playing`](Self::playing) knows.
    #[must_use]
    pub const fn playable() -> &'static [&'static str] {
        &services::ALL
    }
}
