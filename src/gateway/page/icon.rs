//! The icons of services: the host's own logos, or the gateway's drawings.

use super::hue::hue;
use crate::gateway::Inner;

/// The services that have a drawing in `assets/icons.svg`, each under its id.
const DRAWN: [&str; 19] = [
    "gmail",
    "google-calendar",
    "google-contacts",
    "google-tasks",
    "google-drive",
    "youtube",
    "fitbit",
    "outlook-mail",
    "outlook-calendar",
    "onedrive",
    "microsoft-todo",
    "todoist",
    "asana",
    "jira",
    "clickup",
    "gitlab",
    "spotify",
    "oura",
    "smartthings",
];

/// The icon of a service.
#[derive(Debug, Clone)]
pub(super) struct Icon {
    /// The address of the host's own logo.
    pub(super) logo: Option<String>,
    /// The name of the drawing.
    pub(super) symbol: &'static str,
    /// The colour of the drawing for services without their own.
    pub(super) hue: u8,
}

impl Icon {
    pub(super) fn of(gateway: &Inner, service: &str) -> Self {
        let look = &gateway.look;
        let logo = look.logos.as_ref().and_then(|logos| logos(service));
        Self {
            logo: logo.filter(|address| look.loadable(address).is_some()),
            symbol: symbol(service),
            hue: hue(service),
        }
    }
}

/// Returns the drawing of a service. The earlier variant of a service, such as `oura-legacy`, has
/// the same one.
fn symbol(service: &str) -> &'static str {
    let service = service.strip_suffix("-legacy").unwrap_or(service);
    DRAWN
        .into_iter()
        .find(|known| *known == service)
        .unwrap_or("generic")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::provider::catalog;

    #[test]
    fn every_service_of_the_catalogue_has_its_own_drawing() {
        let sheet = include_str!("../assets/icons.svg");
        let drawings: Vec<&str> = sheet.split("<symbol ").skip(1).collect();
        assert_eq!(drawings.len(), DRAWN.len() + 1);
        let bodies: BTreeSet<&str> = drawings
            .iter()
            .map(|drawing| drawing.split_once("viewBox").unwrap().1)
            .collect();
        assert_eq!(bodies.len(), drawings.len(), "each looks different");
        for name in DRAWN.into_iter().chain(["generic"]) {
            assert!(sheet.contains(&format!("<symbol id=\"{name}\" ")), "{name}");
        }
        for provider in catalog::providers() {
            let id = provider.id().as_str();
            assert_ne!(symbol(id), "generic", "{id}");
        }
        assert_eq!(symbol("notes"), "generic");
    }
}
