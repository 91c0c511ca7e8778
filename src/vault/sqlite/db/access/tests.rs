use super::*;
use crate::vault::sqlite::failure::FILE;

const OWNER: Ids = Ids { uid: 1_001, gid: 50 };
/// Another user of the same group.
const MEMBER: Ids = Ids { uid: 1_002, gid: 50 };
const STRANGER: Ids = Ids { uid: 1_003, gid: 60 };
const ROOT: Ids = Ids { uid: 0, gid: 0 };

/// Returns the variant of the error, or `ok` without one.
fn outcome(process: Ids, sharing: Sharing, mode: u32) -> String {
    let access = Access { process, sharing };
    match access.check_ids(OWNER, 0o100_000 | mode, FILE) {
        Ok(()) => "ok".into(),
        Err(error) => {
            let debug = format!("{error:?}");
            debug.split([' ', '(']).next().unwrap_or_default().to_owned()
        }
    }
}

#[test]
fn who_may_use_a_file_depends_on_owner_group_and_mode() {
    use Sharing::{Group, Owner};
    for (process, sharing, mode, expected) in [
        (OWNER, Owner, 0o600, "ok"),
        (OWNER, Owner, 0o660, "ok"),
        (OWNER, Owner, 0o666, "ok"),
        (OWNER, Owner, 0o200, "AccessDenied"),
        (OWNER, Owner, 0o000, "AccessDenied"),
        (MEMBER, Owner, 0o660, "OtherOwner"),
        (MEMBER, Owner, 0o666, "OtherOwner"),
        (STRANGER, Owner, 0o666, "OtherOwner"),
        (OWNER, Owner, 0o400, "ReadOnly"),
        (OWNER, Owner, 0o444, "ReadOnly"),
        (ROOT, Owner, 0o400, "ReadOnly"),
        (ROOT, Owner, 0o600, "ok"),
        (OWNER, Group, 0o600, "ok"),
        (OWNER, Group, 0o660, "ok"),
        (OWNER, Group, 0o060, "AccessDenied"),
        (MEMBER, Group, 0o660, "ok"),
        (MEMBER, Group, 0o600, "AccessDenied"),
        (MEMBER, Group, 0o640, "AccessDenied"),
        (MEMBER, Group, 0o664, "UnsafePath"),
        (STRANGER, Group, 0o660, "OtherGroup"),
        (STRANGER, Group, 0o666, "OtherGroup"),
        (ROOT, Group, 0o660, "ok"),
    ] {
        assert_eq!(
            outcome(process, sharing, mode),
            expected,
            "{process:?} {sharing:?} {mode:o}"
        );
    }
}

#[test]
fn a_refusal_names_both_ids_and_the_option() {
    let refused = |process, sharing| {
        let access = Access { process, sharing };
        access.check_ids(OWNER, 0o660, FILE).unwrap_err().to_string()
    };
    let owner = refused(MEMBER, Sharing::Owner);
    for part in ["1001", "1002", "share_with_group"] {
        assert!(owner.contains(part), "{owner}");
    }
    let group = refused(STRANGER, Sharing::Group);
    for part in ["50", "60", "setgid"] {
        assert!(group.contains(part), "{group}");
    }
}
