//! The time from nothing to a token: a host that starts, opens its vault and resolves once.
//!
//! `cargo bench --bench open`, or with `-- --smoke` for a short run. The floor is the time in which
//! SQLite alone opens the same file, reads the schema and one row, and closes it.

#[allow(unreachable_pub, reason = "a module of the bench")]
mod harness;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use harness::Scenario;
use harness::people::{self, step};
use rusqlite::Connection as Database;
use valetkey::Resolver;

const PEOPLE: usize = 100;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let open = Starting::new(&directory.path().join("open.db"));
    let closed = Starting::new(&directory.path().join("closed.db"));
    harness::run(
        &mut [
            Scenario::new("floor: SQLite, one row", || closed.bare()),
            Scenario::new("open through the first token", || open.start())
                .followed_by(|| open.stop())
                .at_most(3.1),
            Scenario::new("the same, and close", || {
                closed.start();
                closed.stop();
            }),
        ],
        |run| {
            run();
            0
        },
    );
}

/// A host that starts and stops. No other handle has its vault open.
struct Starting {
    path: PathBuf,
    resolver: RefCell<Option<Resolver>>,
    next: Cell<usize>,
}

impl Starting {
    fn new(path: &Path) -> Self {
        people::connect_all(&people::vault(path), PEOPLE);
        Self {
            path: path.to_owned(),
            resolver: RefCell::default(),
            next: Cell::new(0),
        }
    }

    fn start(&self) {
        let resolver = Resolver::new(people::connections(people::vault(&self.path)));
        let person = people::person(step(&self.next, PEOPLE));
        resolver.resolve(&person, "sandbox").expect("a token");
        self.resolver.replace(Some(resolver));
    }

    fn stop(&self) {
        self.resolver.replace(None);
    }

    fn bare(&self) {
        let database = Database::open(&self.path).expect("a database");
        let id = database.query_row("SELECT id FROM vault", [], |row| row.get::<_, Vec<u8>>(0));
        assert_eq!(id.expect("a row").len(), 16);
    }
}
