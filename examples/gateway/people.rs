//! The users of the demonstration: a small company, and its directory.

use valetkey::gateway::{Lookup, Person};
use valetkey::model::UserId;
use valetkey::testing::sandbox::TestAccount;
use valetkey::{ActingUser, Operator, TenantId};

/// A member of the company.
pub struct Member {
    /// The id with which they sign in, and of their account at the sandbox.
    pub id: &'static str,
    pub name: &'static str,
    pub email: &'static str,
    pub work: &'static str,
    pub operator: bool,
    /// The colour of their picture, if they have one.
    pub picture: Option<&'static str>,
}

const fn member(id: &'static str, name: &'static str, email: &'static str, work: &'static str) -> Member {
    Member {
        id,
        name,
        email,
        work,
        operator: false,
        picture: None,
    }
}

/// Everyone who works at the company.
pub const MEMBERS: [Member; 9] = [
    Member {
        picture: Some("#7a4f9e"),
        ..member("ada", "Ada Lovelace", "ada@example.test", "Research")
    },
    Member {
        picture: Some("#2f7d6b"),
        ..member("grace", "Grace Hopper", "grace@example.test", "Engineering")
    },
    Member {
        operator: true,
        picture: Some("#b0563a"),
        ..member("olga", "Olga Ladyzhenskaya", "olga@example.test", "Operations")
    },
    member("alan", "Alan Turing", "alan@example.test", "Research"),
    member("sofia", "Софья Ковалевская", "sofia@example.test", "Analysis"),
    Member {
        picture: Some("#3b6ea8"),
        ..member(
            "katherine",
            "Katherine Johnson",
            "katherine@example.test",
            "Analysis",
        )
    },
    member("edsger", "Edsger Dijkstra", "edsger@example.test", "Engineering"),
    member("radia", "Radia Perlman", "radia@example.test", "Networks"),
    member(
        "hubert",
        "Hubert Blaine Wolfeschlegelsteinhausenbergerdorff",
        "hubert.blaine.wolfeschlegelsteinhausenbergerdorff@example.test",
        "Print shop",
    ),
];

impl Member {
    pub fn find(id: &str) -> Option<&'static Self> {
        MEMBERS.iter().find(|member| member.id == id)
    }

    /// Returns the account of this member at the sandbox.
    pub fn account(&self) -> TestAccount {
        TestAccount::new(self.id, self.email, self.name)
    }

    fn person(&self) -> Option<Person> {
        let person = Person::new(UserId::new(self.id).ok()?, self.name).with_email(self.email);
        Some(match self.picture {
            Some(_) => person.with_picture(format!("/faces/{}.svg", self.id)),
            None => person,
        })
    }
}

/// Answers the gateway's questions about users. A real host asks its user database.
pub fn directory(_: &TenantId, lookup: Lookup<'_>) -> Vec<Person> {
    let all = MEMBERS.iter().filter_map(Member::person);
    match lookup {
        Lookup::Ids(ids) => all.filter(|person| ids.contains(person.id())).collect(),
        Lookup::Matching { text, limit } => {
            let text = text.to_lowercase();
            let has = |field: &str| field.to_lowercase().contains(&text);
            all.filter(|person| has(person.name()) || person.email().is_some_and(has))
                .take(limit)
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Returns a picture of a member: the host serves it at its own origin.
pub fn face(file: &str) -> Option<String> {
    let member = Member::find(file.strip_suffix(".svg")?)?;
    let colour = member.picture?;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 48 48\"><rect width=\"48\" height=\"48\" fill=\"{colour}\"/>\
         <circle cx=\"24\" cy=\"19\" r=\"9\" fill=\"#f6e3d0\"/><path d=\"M6 48a18 16 0 0 1 36 0z\" fill=\"#f4f1ec\"/></svg>"
    ))
}

pub fn tenant() -> Result<TenantId, valetkey::model::InvalidValue> {
    TenantId::new("acme")
}

pub fn acting_user(id: &str) -> Result<ActingUser, valetkey::model::InvalidValue> {
    ActingUser::authenticated(tenant()?, id)
}

pub fn operator(id: &str) -> Result<Operator, valetkey::model::InvalidValue> {
    Operator::authenticated(tenant()?, id)
}
