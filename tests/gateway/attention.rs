//! The first page of the list: connections that need attention come first, and filters stay in the
//! address.

use std::sync::Arc;

use http::Method;
use valetkey::ConsentOptions;
use valetkey::vault::SealedVault;

use crate::support::gateway::planted::plant;
use crate::support::gateway::{Site, program, text};

const ALICE: &str = "acme.alice.user";
const BOB: &str = "acme.bob.user";
const OLGA: &str = "acme.olga.operator";

fn page(site: &Site, caller: &str, path: &str) -> String {
    text(&site.send(program(caller, Method::GET, path))).to_owned()
}

#[test]
fn connections_that_need_attention_come_first_with_their_number() {
    let site = Site::new();
    let first = site.connect(ALICE, "ada", ConsentOptions::default()).id;
    let second = site.connect(BOB, "grace", ConsentOptions::default()).id;
    let list = page(&site, OLGA, "/");
    assert!(!list.contains("Needs attention"), "{list}");

    site.clock.advance(std::time::Duration::from_secs(7_200));
    site.sandbox.revoke_at_server("grace");
    let mut bob = site.tab(BOB);
    bob.post(&format!("/connections/{second}/refresh"), &[]);
    let list = page(&site, OLGA, "/");
    let order = [
        "Needs attention (1)",
        &second.to_string(),
        "Other connections",
        &first.to_string(),
    ];
    let places = order.map(|part| list.find(part).unwrap_or_else(|| panic!("no {part}: {list}")));
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(list.matches("<li class=\"row").count(), 2, "each is listed once");
    // A filtered list has one order.
    let filtered = page(&site, OLGA, "/?status=needs_consent");
    assert!(!filtered.contains("Needs attention (") && filtered.contains(&second.to_string()));
    // Only those who can act are asked to.
    assert!(page(&site, BOB, "/").contains("Needs attention (1)"));
    assert!(!page(&site, ALICE, "/").contains("Needs attention"));
}

#[test]
fn choosing_a_user_keeps_the_other_filters() {
    let site = Site::new();
    site.connect(ALICE, "ada", ConsentOptions::default());
    let list = page(&site, OLGA, "/?q=ada&provider=notes&status=active");
    let kept = "/at/?q=ada&#38;user=alice&#38;provider=notes&#38;status=active";
    assert!(list.contains(&format!("class=\"by\" href=\"{kept}\"")), "{list}");
    let chosen = page(&site, OLGA, &kept["/at".len()..].replace("&#38;", "&"));
    assert!(
        chosen.contains(
            "href=\"/at/?q=ada&#38;provider=notes&#38;status=active\" target=\"_self\">Show all users"
        ),
        "{chosen}"
    );
}

#[test]
fn a_large_workspace_is_counted_in_slices() {
    let vault = Arc::new(SealedVault::in_memory());
    for number in 0..1_100 {
        plant(&vault, number, |_| {});
    }
    let site = Site::over(Arc::clone(&vault));
    let first = page(&site, OLGA, "/");
    assert!(!first.contains("class=\"count\""), "one page counts a part");
    let second = page(&site, OLGA, "/");
    // The tokens that were planted have no refresh token and no known end.
    assert!(
        second.contains("Current <span class=\"count\">1100</span>"),
        "{second}"
    );
    // The numbers of a filtered list would be others.
    assert!(!page(&site, OLGA, "/?q=user-7").contains("class=\"count\""));
    site.connect(ALICE, "ada", ConsentOptions::default());
    assert!(
        page(&site, OLGA, "/").contains(">1100<"),
        "the count is remembered"
    );
    site.clock.advance(std::time::Duration::from_secs(31));
    page(&site, OLGA, "/");
    assert!(page(&site, OLGA, "/").contains(">1101<"), "for half a minute");
    // The operator's own change is counted at once.
    let mut olga = site.tab(OLGA);
    olga.post("/revoke", &[("user", "alice")]);
    page(&site, OLGA, "/");
    let after = page(&site, OLGA, "/");
    assert!(
        after.contains("Revoked <span class=\"count\">1</span>"),
        "{after}"
    );
}
