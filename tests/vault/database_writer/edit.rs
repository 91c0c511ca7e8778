//! Edits of the file by a program that only knows SQL.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::database_writer::rules::{COLUMNS, Column};

/// The kind of rows that an edit leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Rows that the vault never wrote, or that are missing.
    Change,
    /// Rows that the vault wrote earlier in the same place: their content was true then.
    Rollback,
}

/// Statements that one writer executes in one transaction. An older copy of the file is attached as
/// `old`.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    pub(crate) label: String,
    pub(crate) effect: Effect,
    pub(crate) statements: Vec<(String, Vec<Value>)>,
}

impl Edit {
    pub(crate) fn new(label: impl Into<String>, sql: &str) -> Self {
        Self {
            label: label.into(),
            effect: Effect::Change,
            statements: vec![(sql.to_owned(), Vec::new())],
        }
    }

    pub(crate) fn and(&self, other: &Self) -> Self {
        Self {
            label: format!("{} and {}", self.label, other.label),
            effect: self.effect,
            statements: [self.statements.clone(), other.statements.clone()].concat(),
        }
    }

    /// Applies the edit. Returns `false` if SQLite refuses it or it changes nothing.
    pub(crate) fn apply(&self, path: &Path, older: &Path) -> bool {
        let mut db = writer(path);
        db.execute("ATTACH ? AS old", [older.to_str().unwrap()]).unwrap();
        let transaction = db.transaction().unwrap();
        let mut changed = 0;
        for (sql, values) in &self.statements {
            match transaction.execute(sql, rusqlite::params_from_iter(values)) {
                Ok(rows) => changed += rows,
                Err(_) => return false,
            }
        }
        transaction.commit().unwrap();
        changed > 0 || self.statements.iter().any(|(sql, _)| sql.starts_with("CREATE"))
    }
}

/// Opens a connection that skips every check that it can.
pub(crate) fn writer(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    db.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
        .unwrap();
    db
}

/// A column of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) is_key: bool,
}

/// Returns every column of every table of the file.
pub(crate) fn columns(db: &Connection) -> Vec<Stored> {
    let mut tables = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap();
    let tables: Vec<String> = tables
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut columns = Vec::new();
    for table in tables {
        let mut info = db.prepare(&format!("PRAGMA table_info({table})")).unwrap();
        let found = info.query_map([], |row| {
            Ok(Stored {
                table: table.clone(),
                name: row.get(1)?,
                kind: row.get(2)?,
                is_key: row.get::<_, i64>(5)? > 0,
            })
        });
        columns.extend(found.unwrap().map(Result::unwrap));
    }
    columns
}

pub(crate) fn rule(column: &Stored) -> Option<&'static Column> {
    COLUMNS
        .iter()
        .find(|rule| rule.table == column.table && rule.name == column.name)
}

/// A row, identified by a condition.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) condition: String,
    pub(crate) key: Vec<Value>,
}

/// Returns the rows of a table that satisfy a condition.
pub(crate) fn rows(db: &Connection, columns: &[Stored], table: &str, of: &str) -> Vec<Row> {
    rows_in(db, columns, "main", table, of)
}

/// Returns the rows of a table in an attached file that satisfy a condition.
pub(crate) fn rows_in(db: &Connection, columns: &[Stored], file: &str, table: &str, of: &str) -> Vec<Row> {
    let mut keys: Vec<_> = columns
        .iter()
        .filter(|column| column.table == table && column.is_key)
        .map(|column| column.name.clone())
        .collect();
    if keys.is_empty() {
        keys.push("rowid".into());
    }
    let condition: Vec<_> = keys.iter().map(|key| format!("{key} = ?")).collect();
    let condition = condition.join(" AND ");
    let sql = format!(
        "SELECT {} FROM {file}.{table} WHERE {of} ORDER BY {}",
        keys.join(", "),
        keys.join(", ")
    );
    let mut statement = db.prepare(&sql).unwrap();
    let found = statement.query_map([], |row| {
        let key = (0..keys.len()).map(|at| row.get(at)).collect::<Result<_, _>>()?;
        Ok(Row {
            condition: condition.clone(),
            key,
        })
    });
    found.unwrap().map(Result::unwrap).collect()
}

/// Returns an edit that sets one column of one row.
pub(crate) fn set(column: &Stored, row: &Row, value: &Value) -> Edit {
    let Stored { table, name, .. } = column;
    let sql = format!("UPDATE {table} SET {name} = ? WHERE {}", row.condition);
    let values = [vec![value.clone()], row.key.clone()].concat();
    Edit {
        label: format!(
            "{table}.{name} of {} = {}",
            short(&row.key),
            short(std::slice::from_ref(value))
        ),
        effect: Effect::Change,
        statements: vec![(sql, values)],
    }
}

pub(crate) fn short(values: &[Value]) -> String {
    let words: Vec<_> = values
        .iter()
        .map(|value| match value {
            Value::Blob(bytes) => {
                let start: String = bytes.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
                format!("x'{start}…' ({})", bytes.len())
            }
            Value::Text(text) => format!("'{text}'"),
            Value::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        })
        .collect();
    words.join(", ")
}

/// Returns the values that an attacker would try in a column of a row, none of them the current
/// one.
pub(crate) fn values(db: &Connection, column: &Stored, row: &Row) -> Vec<Value> {
    let Stored {
        table, name, kind, ..
    } = column;
    let current: Value = db
        .query_row(
            &format!("SELECT {name} FROM {table} WHERE {}", row.condition),
            rusqlite::params_from_iter(&row.key),
            |found| found.get(0),
        )
        .unwrap();
    let mut others = db
        .prepare(&format!(
            "SELECT DISTINCT {name} FROM {table} WHERE {name} IS NOT NULL LIMIT 4"
        ))
        .unwrap();
    let mut values: Vec<Value> = others
        .query_map([], |found| found.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    values.push(Value::Null);
    match kind.as_str() {
        "INTEGER" => {
            let far = [0, 1, -1, 2, 1_000, 4_000_000_000_000, i64::MAX];
            values.extend(far.map(Value::Integer));
            if let Value::Integer(number) = current {
                values.push(Value::Integer(number.wrapping_add(1)));
                values.push(Value::Integer(number.wrapping_sub(1)));
            }
        }
        "TEXT" => {
            let mut words = vec!["", "robber", "mallory", "game", "mal", "bobby"];
            if name == "status" {
                words.extend([
                    "active",
                    "revoked",
                    "rejected",
                    "pending",
                    "taken",
                    "completed",
                    "denied",
                ]);
            }
            values.extend(words.into_iter().map(|word| Value::Text(word.into())));
        }
        _ => {
            if let Value::Blob(bytes) = &current {
                let bytes = if table == "secrets" { record(bytes) } else { bytes };
                values.extend(altered(bytes).into_iter().map(Value::Blob));
            }
        }
    }
    values.retain(|value| match (value, &current) {
        // The zeros after a record have no meaning.
        (Value::Blob(new), Value::Blob(old)) if table == "secrets" => record(new) != record(old),
        _ => *value != current,
    });
    let mut unique: Vec<Value> = Vec::new();
    for value in values {
        if !unique.contains(&value) {
            unique.push(value);
        }
    }
    unique
}

/// Returns the content of a slot without the padding.
fn record(slot: &[u8]) -> &[u8] {
    let Some((len, rest)) = slot.split_first_chunk::<4>() else {
        return slot;
    };
    let len = usize::try_from(u32::from_be_bytes(*len)).unwrap().min(rest.len());
    &slot[..4 + len]
}

fn altered(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new(), vec![0; bytes.len()]];
    for at in [0, bytes.len() / 2, bytes.len().saturating_sub(1)] {
        let mut flipped = bytes.to_vec();
        if let Some(byte) = flipped.get_mut(at) {
            *byte ^= 1;
            all.push(flipped);
        }
    }
    all.push([bytes, &[0]].concat());
    if let Some((_, shorter)) = bytes.split_last() {
        all.push(shorter.to_vec());
    }
    // Another server, other scopes, another account: words of the same length, so that the encoding
    // remains valid.
    for (from, to) in [
        ("honest.test", "robber.test"),
        ("honest", "robber"),
        ("notes.read", "admin.root"),
        ("mail.read", "admin.all"),
        ("bobby", "malad"),
    ] {
        all.extend(replaced(bytes, from.as_bytes(), to.as_bytes()));
    }
    all
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let mut changed = bytes.to_vec();
    let mut at = 0;
    while at + from.len() <= changed.len() {
        if &changed[at..at + from.len()] == from {
            changed[at..at + from.len()].copy_from_slice(to);
            at += from.len();
        } else {
            at += 1;
        }
    }
    (changed != bytes).then_some(changed)
}
