//! Edits of whole rows, and of several columns at once.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::database_writer::edit::{self, Edit, Effect, Row, Stored, short};
use crate::database_writer::world::World;

/// A small generator that yields the same numbers in every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % below.max(1) as u64).unwrap()
    }
}

/// The file of a world, and its schema.
pub(crate) struct File {
    db: Connection,
    pub(crate) columns: Vec<Stored>,
    tables: Vec<String>,
}

impl File {
    pub(crate) fn of(world: &World) -> Self {
        let db = edit::writer(&world.path);
        db.execute("ATTACH ? AS old", [world.older.to_str().unwrap()])
            .unwrap();
        let columns = edit::columns(&db);
        let mut tables: Vec<_> = columns.iter().map(|column| column.table.clone()).collect();
        tables.dedup();
        Self { db, columns, tables }
    }

    fn of_table<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a Stored> {
        self.columns.iter().filter(move |column| column.table == table)
    }

    fn rows(&self, table: &str) -> Vec<Row> {
        edit::rows(&self.db, &self.columns, table, "1")
    }

    fn names(&self, table: &str) -> Vec<String> {
        self.of_table(table).map(|column| column.name.clone()).collect()
    }

    /// Returns edits of one column each that store a plausible value: that of another row, or of
    /// another server.
    fn plausible(&self, column: &Stored, row: &Row) -> Vec<Edit> {
        let values = edit::values(&self.db, column, row);
        let of_others = values.first().cloned();
        let last = values.last().cloned();
        let chosen = [of_others, last].into_iter().flatten();
        chosen.map(|value| edit::set(column, row, &value)).collect()
    }

    /// Returns every pair of columns of a row, for one row of each table.
    pub(crate) fn pairs_within_rows(&self, random: &mut Random) -> Vec<Edit> {
        let mut pairs = Vec::new();
        for table in &self.tables {
            let rows = self.rows(table);
            if rows.is_empty() {
                continue;
            }
            let row = &rows[random.below(rows.len())];
            // Keys come last, because they identify the row.
            let mut columns: Vec<_> = self.of_table(table).collect();
            columns.sort_by_key(|column| column.is_key);
            for (at, one) in columns.iter().enumerate() {
                for other in columns
                    .iter()
                    .skip(at + 1)
                    .filter(|other| !one.is_key || !other.is_key)
                {
                    let (ones, others) = (self.plausible(one, row), self.plausible(other, row));
                    pairs.extend(ones.iter().zip(&others).map(|(one, other)| one.and(other)));
                }
            }
        }
        pairs
    }

    /// Returns pairs of columns of different tables.
    pub(crate) fn pairs_across_tables(&self, random: &mut Random, most: usize) -> Vec<Edit> {
        let mut single = Vec::new();
        for column in &self.columns {
            let rows = self.rows(&column.table);
            if rows.is_empty() {
                continue;
            }
            let row = &rows[random.below(rows.len())];
            single.extend(
                self.plausible(column, row)
                    .into_iter()
                    .map(|edit| (&column.table, edit)),
            );
        }
        let mut pairs = Vec::new();
        for (at, (table, one)) in single.iter().enumerate() {
            let others = single.iter().skip(at + 1).filter(|(other, _)| other != table);
            pairs.extend(others.map(|(_, other)| (one, other)));
        }
        while pairs.len() > most {
            let at = random.below(pairs.len());
            pairs.swap_remove(at);
        }
        pairs.into_iter().map(|(one, other)| one.and(other)).collect()
    }

    /// Returns edits of the routes of grants and the bodies of consents, of at most this many rows,
    /// with every word that could redirect a secret.
    pub(crate) fn routes(&self, most: usize) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (table, name) in [
            ("grants", "route"),
            ("consents", "body"),
            ("connections", "details"),
        ] {
            let found = self.of_table(table).find(|column| column.name == name);
            let column = found.unwrap();
            for row in self.rows(table).into_iter().take(most) {
                let values = edit::values(&self.db, column, &row);
                edits.extend(values.iter().map(|value| edit::set(column, &row, value)));
            }
        }
        edits
    }

    /// Returns edits that delete rows, exchange them, and copy them under other keys.
    pub(crate) fn whole_rows(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for table in &self.tables {
            let rows = self.rows(table);
            for row in &rows {
                edits.push(Edit {
                    label: format!("{table}: delete {}", short(&row.key)),
                    effect: Effect::Change,
                    statements: vec![(
                        format!("DELETE FROM {table} WHERE {}", row.condition),
                        row.key.clone(),
                    )],
                });
                edits.extend(self.copies(table, row));
            }
            edits.extend(
                rows.windows(2)
                    .filter_map(|two| self.exchange(table, &two[0], &two[1])),
            );
            if let [first, .., last] = rows.as_slice() {
                edits.extend(self.exchange(table, first, last));
            }
        }
        edits
    }

    /// Exchanges all columns but the keys of two rows.
    fn exchange(&self, table: &str, one: &Row, other: &Row) -> Option<Edit> {
        let columns: Vec<_> = self
            .of_table(table)
            .filter(|column| !column.is_key)
            .map(|column| column.name.clone())
            .collect();
        if columns.is_empty() {
            return None;
        }
        let read = |row: &Row| -> Vec<Value> {
            let sql = format!(
                "SELECT {} FROM {table} WHERE {}",
                columns.join(", "),
                row.condition
            );
            self.db
                .query_row(&sql, rusqlite::params_from_iter(&row.key), |found| {
                    (0..columns.len()).map(|at| found.get(at)).collect()
                })
                .unwrap()
        };
        let assignments: Vec<_> = columns.iter().map(|column| format!("{column} = ?")).collect();
        let write = |row: &Row, values: Vec<Value>| {
            let sql = format!(
                "UPDATE {table} SET {} WHERE {}",
                assignments.join(", "),
                row.condition
            );
            (sql, [values, row.key.clone()].concat())
        };
        Some(Edit {
            label: format!("{table}: exchange {} and {}", short(&one.key), short(&other.key)),
            effect: Effect::Change,
            statements: vec![write(one, read(other)), write(other, read(one))],
        })
    }

    /// Copies a row under another key: a new id, another tenant, the next number.
    fn copies(&self, table: &str, row: &Row) -> Vec<Edit> {
        let names = self.names(table);
        let mut edits = Vec::new();
        for column in self.of_table(table).filter(|column| column.is_key) {
            let new: &[&str] = match column.kind.as_str() {
                "BLOB" => &["randomblob(length(key))"],
                "INTEGER" => &["key + 1", "3 - key", "1000"],
                _ => &["'mallory'"],
            };
            for new in new {
                let selected: Vec<_> = names
                    .iter()
                    .map(|name| match *name == column.name {
                        true => new.replace("key", name),
                        false => name.clone(),
                    })
                    .collect();
                edits.push(Edit {
                    label: format!("{table}: copy {} with {} = {new}", short(&row.key), column.name),
                    effect: Effect::Change,
                    statements: vec![(
                        format!(
                            "INSERT OR REPLACE INTO {table} ({}) SELECT {} FROM {table} WHERE {}",
                            names.join(", "),
                            selected.join(", "),
                            row.condition
                        ),
                        row.key.clone(),
                    )],
                });
            }
        }
        edits
    }

    /// Returns edits that put back rows and slots of an older copy of the file: one by one, by
    /// table, and with the rows that belong to them.
    pub(crate) fn older_rows(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for table in &self.tables {
            let put_back = |of: &str, key: Vec<Value>| {
                (
                    format!("INSERT OR REPLACE INTO {table} SELECT * FROM old.{table} WHERE {of}"),
                    key,
                )
            };
            let old = edit::rows_in(&self.db, &self.columns, "old", table, "1");
            for row in old {
                let mut edit = Edit {
                    label: format!("{table}: put back {}", short(&row.key)),
                    effect: Effect::Rollback,
                    statements: vec![put_back(&row.condition, row.key.clone())],
                };
                edits.push(edit.clone());
                if let Some(more) = belonging(table) {
                    edit.label += " with what belongs to it";
                    edit.statements
                        .extend(more.iter().map(|sql| ((*sql).to_owned(), row.key.clone())));
                    edits.push(edit);
                }
            }
            edits.push(Edit {
                label: format!("{table}: put all back"),
                effect: Effect::Rollback,
                statements: vec![put_back("1", Vec::new())],
            });
            edits.push(Edit {
                label: format!("{table}: as it was"),
                effect: Effect::Rollback,
                statements: vec![
                    (format!("DELETE FROM {table}"), Vec::new()),
                    put_back("1", Vec::new()),
                ],
            });
        }
        edits
    }
}

/// Returns the tables whose rows must be put back with a row, so that it works again.
fn belonging(table: &str) -> Option<&'static [&'static str]> {
    match table {
        "connections" => Some(&[
            "INSERT OR REPLACE INTO grants SELECT g.* FROM old.grants g JOIN old.connections c
                ON c.tenant = g.tenant AND c.grant_id = g.uuid WHERE c.tenant = ? AND c.uuid = ?",
            "INSERT OR REPLACE INTO secrets SELECT s.* FROM old.secrets s JOIN old.grants g ON g.slot = s.slot
                JOIN old.connections c ON c.tenant = g.tenant AND c.grant_id = g.uuid
                WHERE c.tenant = ? AND c.uuid = ?",
        ]),
        "grants" => Some(&["INSERT OR REPLACE INTO secrets SELECT s.* FROM old.secrets s
                JOIN old.grants g ON g.slot = s.slot WHERE g.tenant = ? AND g.uuid = ?"]),
        _ => None,
    }
}

/// Returns rows that an attacker would write: a connection that names another user's grant, a
/// revocation of a live grant with another address, another user's consent.
pub(crate) fn forged() -> Vec<Edit> {
    let statements = [
        (
            "mallory's connection names every grant",
            "UPDATE connections SET grant_id = (SELECT c.grant_id FROM connections c WHERE c.owner = 'alice'
                AND c.provider = 'notes' AND c.tenant = 1 LIMIT 1) WHERE owner = 'mallory'",
        ),
        (
            "a connection of mallory with the grant of alice",
            "INSERT INTO connections SELECT tenant, randomblob(16), 'mallory', 'mail', NULL, 0, 0, grant_id, NULL, details,
                mac FROM connections WHERE owner = 'alice' AND provider = 'notes' AND is_default = 1",
        ),
        (
            "a workspace connection with the grant of alice",
            "INSERT INTO connections SELECT tenant, randomblob(16), '', 'game', NULL, 0, 0, grant_id, NULL, details, mac
                FROM connections WHERE owner = 'alice' AND provider = 'notes' AND is_default = 1",
        ),
        (
            "revocations of live grants",
            "INSERT OR REPLACE INTO revocations SELECT g.tenant, g.uuid, c.uuid, c.owner, 0, 0, 4000000000000,
                unhex('00000010' || hex(g.uuid) || printf('00000008%016x%08x', g.generation, length(g.route)) || hex(g.route)),
                g.slot, g.key_version
                FROM grants g JOIN connections c ON c.tenant = g.tenant AND c.grant_id = g.uuid",
        ),
        (
            "the consent of alice, begun by mallory",
            "INSERT INTO consents SELECT tenant, randomblob(32), id, 'mallory', 'mallory', expires_at, status, completed,
                body, slot, key_version, mac FROM consents WHERE user = 'alice'",
        ),
        (
            "the consent of alice, given to mallory",
            "UPDATE consents SET user = 'mallory', owner = 'mallory' WHERE user = 'alice'",
        ),
        (
            "every consent pending again",
            "UPDATE consents SET status = 'pending', expires_at = 4000000000000",
        ),
        (
            "every connection and grant active again",
            "UPDATE connections SET revoked = 0",
        ),
        ("every grant active", "UPDATE grants SET status = 'active', not_before = NULL"),
        ("all tokens in one slot", "UPDATE grants SET slot = 15"),
    ];
    let mut edits = statements.map(|(label, sql)| Edit::new(label, sql)).to_vec();
    let none = Edit::new(
        "no default",
        "UPDATE connections SET is_default = 0 WHERE owner = 'alice'",
    );
    let other = Edit::new(
        "another default",
        "UPDATE connections SET is_default = 1 WHERE owner = 'alice' AND label IS NOT NULL",
    );
    edits.push(none.and(&other));
    edits
}
