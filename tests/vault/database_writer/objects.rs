//! Objects that a writer adds to the schema: they are refused when the file is opened, and do not
//! affect an open handle.

/// Triggers, views, tables and indexes that would change the effect of valetkey's statements.
pub(crate) const ADDED: [(&str, &str); 9] = [
    (
        "a trigger that keeps erased tokens",
        "CREATE TRIGGER keep BEFORE UPDATE ON secrets BEGIN SELECT RAISE(IGNORE); END",
    ),
    (
        "a trigger that copies tokens",
        "CREATE TRIGGER copy AFTER UPDATE ON secrets BEGIN
            INSERT INTO secrets (access, rest) VALUES (old.access, old.rest); END",
    ),
    (
        "a trigger that gives connections away",
        "CREATE TRIGGER give AFTER INSERT ON connections BEGIN UPDATE connections SET owner = 'mallory'; END",
    ),
    (
        "a trigger that deletes the audit",
        "CREATE TRIGGER forget AFTER INSERT ON audit BEGIN DELETE FROM audit WHERE number < new.number; END",
    ),
    (
        "a trigger that ignores revocations",
        "CREATE TRIGGER ignore BEFORE UPDATE OF revoked ON connections BEGIN SELECT RAISE(IGNORE); END",
    ),
    ("a view", "CREATE VIEW everything AS SELECT * FROM secrets"),
    ("a table", "CREATE TABLE notes (text TEXT)"),
    ("an index", "CREATE INDEX extra ON connections (account)"),
    (
        "an index of its own order",
        "CREATE INDEX order_of_uses ON uses (used_at DESC)",
    ),
];

/// Objects whose statements were changed in place, and missing objects.
pub(crate) const CHANGED: [(&str, &str); 5] = [
    ("a missing index", "DROP INDEX connections_default"),
    (
        "an index under an old name",
        "DROP INDEX connections_owned; CREATE INDEX connections_owned ON connections (tenant, owner)",
    ),
    (
        "a renamed column",
        "ALTER TABLE uses RENAME COLUMN used_at TO used",
    ),
    ("another column", "ALTER TABLE connections ADD COLUMN note TEXT"),
    ("a missing table", "DROP TABLE free_slots"),
];
