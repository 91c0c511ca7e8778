//! One user's consent requests cost other users nothing: the data read for a user does not grow
//! with other users' requests.

use valetkey::testing::Host;
use valetkey::vault::{MasterKey, SealedVault};
use valetkey::{ActingUser, ConsentOptions};

use crate::support::counting::CountingStore;
use crate::support::world::person;

#[test]
fn what_is_read_for_a_person_does_not_grow_with_the_requests_of_others() {
    let store = CountingStore::default();
    let vault = SealedVault::open(store.clone(), MasterKey::generate().unwrap()).unwrap();
    let Host { connections, .. } = Host::builder().vault(vault).build().unwrap();
    let prepare = |who: &ActingUser| {
        connections
            .prepare(who, "notes", ConsentOptions::default())
            .unwrap()
    };
    let alice = person("alice");
    let hers = prepare(&alice);
    let cost = |act: &dyn Fn()| {
        let before = store.reads();
        act();
        store.reads() - before
    };
    let poll = || {
        let _ = connections.poll(&alice, hers.id()).unwrap();
    };
    let open = || drop(connections.open_link(&alice, hers.ticket()).unwrap());
    open();
    let (polled, opened) = (cost(&poll), cost(&open));
    for number in 0..20 {
        let mallory = person(&format!("mallory-{number}"));
        for _ in 0..20 {
            prepare(&mallory);
        }
    }
    assert_eq!(cost(&poll), polled);
    assert_eq!(cost(&open), opened);
    // Her own requests are bounded as well: the oldest makes room.
    for _ in 0..70 {
        prepare(&alice);
    }
    let full = cost(&|| drop(prepare(&alice)));
    for _ in 0..100 {
        prepare(&alice);
    }
    assert_eq!(cost(&|| drop(prepare(&alice))), full);
}
