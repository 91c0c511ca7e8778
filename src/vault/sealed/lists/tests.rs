use super::*;
use crate::model::{Grant, IssuedBy, Owner, ProviderId, ServerId, TenantId, Timestamp};

const ALL: Listing<'_> = Listing {
    owner: None,
    provider: None,
    grant: None,
    with_revoked: false,
    sought: None,
    after: None,
    limit: 100,
};

fn asked(listing: &Listing<'_>) -> Asked {
    Asked::new(7, listing).unwrap()
}

fn stamp(state: u64) -> Stamp {
    Stamp {
        source: 2,
        state: [state, 0, 0, 0, 0, 0],
    }
}

fn taken(state: u64) -> Taken {
    Taken {
        stamp: stamp(state),
        writes: 0,
    }
}

fn connection() -> Connection {
    let server = ServerId::new("google").unwrap();
    let issued_by = IssuedBy::new(server, "https://issuer.test/token", "client");
    let grant = Grant::new(
        GrantId::from_bytes([1; 16]),
        TenantId::new("acme").unwrap(),
        Owner::Workspace,
        ProviderId::new("gmail").unwrap(),
        issued_by,
        Timestamp::from_unix_millis(0),
    );
    Connection::new(ConnectionId::from_bytes([1; 16]), &grant)
}

#[test]
fn a_list_is_known_while_the_stamp_is_the_same() {
    let lists = Lists::default();
    lists.put(taken(1), asked(&ALL), &[connection()]);
    assert_eq!(*lists.get(stamp(1), None, &asked(&ALL)).unwrap(), [connection()]);
    assert!(lists.get(stamp(2), None, &asked(&ALL)).is_none());
    let other = Stamp {
        source: 3,
        ..stamp(1)
    };
    assert!(lists.get(other, None, &asked(&ALL)).is_none());
    lists.put(taken(2), asked(&ALL), &[]);
    assert!(lists.get(stamp(1), None, &asked(&ALL)).is_none());
    assert_eq!(lists.get(stamp(2), None, &asked(&ALL)).unwrap().len(), 0);
}

#[test]
fn only_the_same_query_has_the_answer() {
    let lists = Lists::default();
    lists.put(taken(1), asked(&ALL), &[connection()]);
    let others = [
        Listing {
            owner: Some(""),
            ..ALL
        },
        Listing {
            owner: Some("ada"),
            ..ALL
        },
        Listing {
            provider: Some("gmail"),
            ..ALL
        },
        Listing {
            grant: Some(GrantId::from_bytes([1; 16])),
            ..ALL
        },
        Listing {
            with_revoked: true,
            ..ALL
        },
        Listing {
            sought: Some(Sought::Revoked),
            ..ALL
        },
        Listing {
            after: Some(ConnectionId::from_bytes([0; 16])),
            ..ALL
        },
        Listing { limit: 99, ..ALL },
    ];
    for other in others {
        assert!(lists.get(stamp(1), None, &asked(&other)).is_none(), "{other:?}");
    }
    assert!(lists.get(stamp(1), None, &Asked::new(8, &ALL).unwrap()).is_none());
    let now = Timestamp::from_unix_millis(0);
    let needy = Listing {
        sought: Some(Sought::NeedsConsent { now }),
        ..ALL
    };
    assert!(Asked::new(7, &needy).is_none(), "it depends on the time");
}

#[test]
fn what_is_remembered_is_bounded() {
    let lists = Lists::default();
    let list = vec![connection(); 100];
    for limit in 1..200 {
        lists.put(taken(1), asked(&Listing { limit, ..ALL }), &list);
    }
    let since = lists.sources[2].read().unwrap();
    assert!(since.bytes <= MAX_BYTES, "{}", since.bytes);
    let sum: usize = since.entries.values().map(|entry| entry.bytes).sum();
    assert_eq!(since.bytes, sum);
    assert!(since.entries.len() > 10, "{}", since.entries.len());
    drop(since);
    lists.put(taken(2), asked(&ALL), &vec![connection(); MAX_ROWS + 1]);
    assert!(lists.get(stamp(2), None, &asked(&ALL)).is_none());
}
