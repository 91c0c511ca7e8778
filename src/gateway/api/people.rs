//! The users of the host's directory as JSON: `GET /v1/people`.

use http::StatusCode;
use serde::Serialize;

use crate::gateway::answer::{self, Answer};
use crate::gateway::directory::Person;
use crate::gateway::refusal::Refusal;
use crate::gateway::request::Incoming;
use crate::gateway::{Caller, Inner};

#[derive(Serialize)]
struct People {
    people: Vec<PersonJson>,
}

#[derive(Serialize)]
struct PersonJson {
    id: String,
    name: String,
    email: Option<String>,
}

impl PersonJson {
    fn new(person: &Person) -> Self {
        Self {
            id: person.id().to_string(),
            name: person.name().to_owned(),
            email: person.email().map(str::to_owned),
        }
    }
}

impl Inner {
    /// Handles `GET /v1/people`: lets an operator search the host's directory.
    pub(in crate::gateway) fn api_people(&self, caller: &Caller, incoming: &Incoming<'_>) -> Answer {
        if !caller.is_operator() {
            return Err(Refusal::forbidden());
        }
        let text = incoming.query("q").unwrap_or_default();
        let found = self.find_people(caller.acting_user().tenant(), text);
        let people = found.iter().map(PersonJson::new).collect();
        answer::json(StatusCode::OK, &People { people })
    }
}
