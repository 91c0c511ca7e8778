//! Sandboxes that play a service.

use super::surface::Surface;
use super::{Personality, Sandbox, services};
use crate::clock::Clock;

/// A sandbox that plays a service.
impl Sandbox {
    /// Plays one of the services of the catalogue, by its id: at its real addresses, in process,
    /// with its quirks.
    ///
    /// # Panics
    ///
    /// If there is no service of this id.
    pub fn playing(service: &str, clock: impl Clock) -> Self {
        let (surface, personality) = services::service(service).expect("the sandbox plays this service");
        Self::playing_as(surface, personality, clock)
    }

    /// Plays a service at these addresses and in this manner.
    pub fn playing_as(surface: Surface, personality: Personality, clock: impl Clock) -> Self {
        let sandbox = Self::new(clock);
        {
            let mut world = sandbox.world();
            world.surface = Some(surface);
            world.personality = personality;
        }
        sandbox
    }

    /// The services that [`playing`](Self::playing) knows.
    #[must_use]
    pub const fn playable() -> &'static [&'static str] {
        &services::ALL
    }
}
