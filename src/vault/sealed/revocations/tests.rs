//! The encodings of pending revocations, compared with known answers, and the effect of altered
//! rows.

use serde::Deserialize;

use super::*;
use crate::vault::envelope::vectors::{self, Hex};
use crate::vault::sealed::rows::tests::{GrantAnswer, grants};

#[derive(Deserialize)]
struct Answer {
    /// The name of the grant among the known answers.
    grant: String,
    id: Hex,
    connection: Hex,
    give_up_at: i64,
    body: Hex,
    route: Hex,
    access: Hex,
    rest: Hex,
}

impl Answer {
    fn row(&self, tenant: &Tenant, grant: &Grant) -> RevocationRow {
        row(
            tenant,
            grant,
            RevocationId::from_bytes(self.id.array()),
            ConnectionId::from_bytes(self.connection.array()),
            Timestamp::from_unix_millis(7),
            Timestamp::from_unix_millis(self.give_up_at),
        )
    }
}

/// Returns each pending revocation with the grant that it belongs to.
fn answers() -> Vec<(Answer, GrantAnswer)> {
    let answers: Vec<Answer> = vectors::format_2("revocations");
    assert_eq!(answers.len(), 2);
    let of = |name: &str| grants().into_iter().find(|grant| grant.name == name).unwrap();
    answers
        .into_iter()
        .map(|answer| {
            let grant = of(&answer.grant);
            (answer, grant)
        })
        .collect()
}

fn opens(tenant: &Tenant, row: &RevocationRow, kind: Kind, record: &Hex) -> Result<String> {
    let grant = grant(&tenant.name, &row.body)?;
    let route = route(row);
    let context = context(tenant, &grant, row, kind, &route);
    let opened = tenant.key().open(&context, record.0.clone())?;
    opened.into_only_text().map(|mut text| std::mem::take(&mut *text))
}

#[test]
fn pending_revocations_have_the_known_bodies_and_routes() {
    for (answer, of) in answers() {
        let (tenant, expected) = (of.tenant(), of.grant());
        let row = answer.row(&tenant, &expected);
        assert_eq!(row.body, answer.body.0, "{}", answer.grant);
        assert_eq!(route(&row), answer.route.0, "{}", answer.grant);
        let read = grant(&tenant.name, &row.body).unwrap();
        assert_eq!(read, expected, "{}", answer.grant);
    }
}

#[test]
fn tokens_of_pending_revocations_open_under_the_known_routes() {
    for (answer, of) in answers() {
        let tenant = of.tenant();
        let row = answer.row(&tenant, &of.grant());
        let access = opens(&tenant, &row, Kind::RevocationAccess, &answer.access);
        assert_eq!(access.unwrap(), of.access_token, "{}", answer.grant);
        let refresh = opens(&tenant, &row, Kind::RevocationRest, &answer.rest);
        assert_eq!(refresh.unwrap(), of.refresh_token, "{}", answer.grant);
        assert!(opens(&tenant, &row, Kind::RevocationRest, &answer.access).is_err());
    }
}

#[test]
fn promise_04_a_token_opens_for_no_altered_revocation() {
    let (answer, of) = answers().remove(0);
    let (tenant, expected) = (of.tenant(), of.grant());
    let row = answer.row(&tenant, &expected);
    let alterations: [fn(&mut RevocationRow); 5] = [
        |row| row.id = RevocationId::from_bytes([1; 16]),
        |row| row.connection = ConnectionId::from_bytes([1; 16]),
        |row| row.owner.clear(),
        |row| row.give_up_at += 1,
        |row| row.body[4] ^= 1,
    ];
    for (at, alter) in alterations.into_iter().enumerate() {
        let mut altered = row.clone();
        alter(&mut altered);
        let opened = opens(&tenant, &altered, Kind::RevocationAccess, &answer.access);
        assert!(matches!(opened, Err(VaultError::Tampered)), "alteration {at}");
    }
    let alterations: [fn(&mut Grant); 4] = [
        |grant| grant.generation -= 1,
        |grant| grant.issued_by.revocation_endpoint = Some("https://evil.test".into()),
        |grant| grant.issued_by.client_id.push('x'),
        |grant| grant.id = GrantId::from_bytes([1; 16]),
    ];
    for (at, alter) in alterations.into_iter().enumerate() {
        let mut grant = expected.clone();
        alter(&mut grant);
        let altered = answer.row(&tenant, &grant);
        let opened = opens(&tenant, &altered, Kind::RevocationAccess, &answer.access);
        assert!(
            matches!(opened, Err(VaultError::Tampered)),
            "alteration {at} of the grant"
        );
    }
}

#[test]
fn the_schedule_of_a_pending_revocation_is_not_bound() {
    let (answer, of) = answers().remove(0);
    let tenant = of.tenant();
    let mut row = answer.row(&tenant, &of.grant());
    row.not_before = 0;
    row.attempts = 9;
    assert!(opens(&tenant, &row, Kind::RevocationAccess, &answer.access).is_ok());
}
