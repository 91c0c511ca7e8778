use super::*;
use crate::vault::tables::Topic;

const ADA: Topic<'_> = Topic::Owner(1, "ada");
const BOB: Topic<'_> = Topic::Owner(1, "bob");

fn places(topic: Topic<'_>) -> [Place; 3] {
    [topic.place(); 3]
}

fn header(number: u64) -> Stamp {
    Stamp {
        source: Stamp::SHARED,
        state: [number, 0, 0, 0, 0, 0],
    }
}

/// Two connections to one file: that of the handle, and that of another process.
struct Scene {
    _directory: tempfile::TempDir,
    own: rusqlite::Connection,
    foreign: rusqlite::Connection,
    continuity: Continuity,
    header: std::cell::Cell<u64>,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let open = || {
            let db = rusqlite::Connection::open(directory.path().join("file.db")).unwrap();
            db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (n)")
                .unwrap();
            db
        };
        Self {
            own: open(),
            foreign: open(),
            _directory: directory,
            continuity: Continuity::new(),
            header: std::cell::Cell::new(1),
        }
    }

    fn take(&self) -> Option<Taken> {
        self.continuity.take(|| Some(header(self.header.get())))
    }

    fn holds(&self, taken: Taken, topic: Topic<'_>) -> bool {
        let now = header(self.header.get());
        self.continuity.is_unchanged_since(taken, &places(topic), now)
    }

    fn commit(&self, db: &rusqlite::Connection) {
        db.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        self.header.set(self.header.get() + 1);
    }

    /// Commits as the handle, and does `meanwhile` before the header is read again.
    fn own_commit(&self, topics: Option<&[Topic<'_>]>, meanwhile: impl FnOnce(&Self)) {
        let before = header(self.header.get());
        let commit = self.continuity.begin(Sql(&self.own), Some(before)).unwrap();
        self.commit(&self.own);
        meanwhile(self);
        let places = topics.map(|topics| topics.iter().map(|topic| topic.place()).collect());
        commit.end(Sql(&self.own), places, || Some(header(self.header.get())));
    }
}

#[test]
fn an_own_commit_drops_only_what_it_concerned() {
    let scene = Scene::new();
    let taken = scene.take().unwrap();
    for _ in 0..3 {
        scene.own_commit(Some(&[BOB]), |_| {});
    }
    assert!(scene.holds(taken, ADA) && !scene.holds(taken, BOB));
    let later = scene.take().unwrap();
    assert_eq!(later.stamp, taken.stamp);
    assert!(scene.holds(later, ADA) && scene.holds(later, BOB));
    scene.own_commit(Some(&[ADA]), |_| {});
    assert!(!scene.holds(taken, ADA) && !scene.holds(later, ADA) && scene.holds(later, BOB));
}

#[test]
fn a_commit_that_may_have_concerned_anything_drops_everything() {
    let scene = Scene::new();
    let taken = scene.take().unwrap();
    scene.own_commit(None, |_| {});
    assert!(!scene.holds(taken, ADA));
    assert_ne!(scene.take().unwrap().stamp, taken.stamp);
    assert!(!scene.holds(taken, ADA));
}

#[test]
fn a_commit_of_another_handle_drops_everything_whenever_it_happens() {
    type When = fn(&Scene);
    let foreign: When = |scene| scene.commit(&scene.foreign);
    let cases: [(&str, When); 3] = [
        ("alone", foreign),
        ("before an own one", |scene| {
            scene.commit(&scene.foreign);
            scene.own_commit(Some(&[BOB]), |_| {});
        }),
        ("between an own one and its header", |scene| {
            scene.own_commit(Some(&[BOB]), |scene| scene.commit(&scene.foreign));
        }),
    ];
    for (when, happens) in cases {
        let scene = Scene::new();
        let taken = scene.take().unwrap();
        happens(&scene);
        assert!(!scene.holds(taken, ADA), "{when}");
        // Nor does an own commit or a read bring it back.
        assert_ne!(scene.take().unwrap().stamp, taken.stamp, "{when}");
        scene.own_commit(Some(&[BOB]), |_| {});
        assert!(!scene.holds(taken, ADA), "{when}");
    }
}

#[test]
fn a_header_that_appears_during_a_commit_is_not_remembered() {
    let scene = Scene::new();
    let taken = scene.take().unwrap();
    scene.own_commit(Some(&[BOB]), |scene| {
        assert_eq!(scene.take(), None);
        assert!(!scene.holds(taken, ADA));
    });
    assert!(scene.holds(taken, ADA));
}

#[test]
fn a_commit_that_fails_ends_the_run() {
    let scene = Scene::new();
    let taken = scene.take().unwrap();
    let before = Some(header(scene.header.get()));
    drop(scene.continuity.begin(Sql(&scene.own), before).unwrap());
    assert!(!scene.holds(taken, ADA));
    // If it was not stored, the header is still the same, and so is the state.
    let again = scene.take().unwrap();
    assert_eq!(again.stamp, taken.stamp);
    // If it was stored after all, the header is another one.
    scene.header.set(99);
    assert!(!scene.holds(again, ADA));
}
