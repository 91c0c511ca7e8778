//! Random changes to the tables of a chain. Every one is detected.

use super::*;

/// One chain of a file: its table, its number there, and the numbers of its entries.
struct Target<'a> {
    db: &'a Database,
    table: &'static str,
    /// The SQL condition that selects the chain's rows in its table.
    rows: &'static str,
    chain: i64,
    numbers: Vec<i64>,
}

impl<'a> Target<'a> {
    fn new(db: &'a Database, table: &'static str, rows: &'static str, chain: i64) -> Self {
        let mut statement = db
            .prepare(&format!(
                "SELECT number FROM {table} WHERE {rows} ORDER BY number"
            ))
            .unwrap();
        let numbers = statement.query_map([], |row| row.get(0)).unwrap();
        let numbers: Vec<i64> = numbers.map(Result::unwrap).collect();
        Self {
            db,
            table,
            rows,
            chain,
            numbers,
        }
    }

    /// Returns one of the numbers of the chain.
    fn pick(&self, random: &mut Random) -> i64 {
        self.numbers[usize::try_from(random.below(self.numbers.len() as u64)).unwrap()]
    }

    /// Returns a statement that flips one bit of a blob.
    fn flip(&self, random: &mut Random, table: &str, column: &str, of: &str) -> String {
        let read = format!("SELECT {column} FROM {table} WHERE {of} ORDER BY random() LIMIT 1");
        let Ok(mut bytes) = self.db.query_row(&read, [], |row| row.get::<_, Vec<u8>>(0)) else {
            return "SELECT 1".to_owned();
        };
        let before = hex(&bytes);
        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        bytes[at] ^= 1 << random.below(8);
        let after = hex(&bytes);
        format!("UPDATE {table} SET {column} = x'{after}' WHERE {of} AND {column} = x'{before}'")
    }

    /// Returns one way in which a writer of the file can tamper with the chain.
    fn tamper(&self, random: &mut Random) -> String {
        let (table, rows, chain) = (self.table, self.rows, self.chain);
        let (pick, other) = (self.pick(random), self.pick(random));
        let one = format!("{rows} AND number = {pick}");
        let bit = 1 << random.below(8);
        let gaps = format!("chain = {chain}");
        match random.below(13) {
            0 => format!("UPDATE {table} SET at = at + {bit} WHERE {one}"),
            1 => format!("UPDATE {table} SET kind = kind || 'x' WHERE {one}"),
            2 if table == "audit" => format!("UPDATE audit SET chain = chain + {bit} WHERE {one}"),
            2 => format!("UPDATE {table} SET tenant = coalesce(tenant, 0) + {bit} WHERE {one}"),
            3 => self.flip(random, table, "body", &one),
            4 => self.flip(random, table, "mac", &one),
            5 => format!("DELETE FROM {table} WHERE {one}"),
            6 => self.insert(pick, other),
            7 if pick != other => format!(
                "UPDATE {table} SET number = -1 WHERE {one};
                 UPDATE {table} SET number = {pick} WHERE {rows} AND number = {other};
                 UPDATE {table} SET number = {other} WHERE {rows} AND number = -1"
            ),
            8 => {
                let column = ["before", "mac", "seal"][usize::try_from(random.below(3)).unwrap()];
                self.flip(random, "audit_gaps", column, &gaps)
            }
            9 => format!("DELETE FROM audit_gaps WHERE {gaps}"),
            // A gap is made to cover one entry more or one less.
            10 => format!(
                "UPDATE audit_gaps SET last = last + 1 WHERE {gaps};
                 DELETE FROM {table} WHERE {rows} AND number IN (SELECT last FROM audit_gaps WHERE {gaps})"
            ),
            11 => format!(
                "INSERT OR REPLACE INTO audit_gaps (chain, first, last, before, mac, seal)
                    SELECT {chain}, number, number, zeroblob(32), mac, randomblob(32) FROM {table} WHERE {one};
                 DELETE FROM {table} WHERE {one}"
            ),
            _ => self.cut(random, pick),
        }
    }

    /// A copy of an entry takes the place of another, and the following entries move up.
    fn insert(&self, pick: i64, other: i64) -> String {
        let (table, rows, chain) = (self.table, self.rows, self.chain);
        let columns = if table == "audit" {
            format!("{chain}, {pick}, at, kind, body, mac")
        } else {
            format!("{pick}, at, tenant, kind, body, mac")
        };
        format!(
            "UPDATE {table} SET number = number + 1000000 WHERE {rows} AND number >= {pick};
             INSERT INTO {table} SELECT {columns} FROM {table}
                WHERE {rows} AND number IN ({other}, {other} + 1000000) LIMIT 1;
             UPDATE {table} SET number = number - 999999 WHERE {rows} AND number >= 1000000"
        )
    }

    /// The end of the chain is removed, and the head is made to match as far as possible.
    fn cut(&self, random: &mut Random, pick: i64) -> String {
        let (table, rows, chain) = (self.table, self.rows, self.chain);
        let head = match random.below(4) {
            0 => format!(
                "UPDATE audit_heads SET number = {pick} - 1, mac = coalesce((SELECT mac FROM {table}
                    WHERE {rows} AND number = {pick} - 1), zeroblob(32)) WHERE chain = {chain}"
            ),
            1 => format!("DELETE FROM audit_heads WHERE chain = {chain}"),
            2 => format!("UPDATE audit_heads SET seal = zeroblob(32) WHERE chain = {chain}"),
            _ => "SELECT 1".to_owned(),
        };
        format!("DELETE FROM {table} WHERE {rows} AND number >= {pick}; {head}")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tables that tampering changes.
const TABLES: [&str; 6] = [
    "audit",
    "audit_legacy",
    "audit_heads",
    "audit_gaps",
    "audit_checkpoints",
    "audit_pruned",
];

fn keep_tables(db: &Database) {
    db.execute_batch("PRAGMA synchronous = OFF").unwrap();
    for table in TABLES {
        db.execute_batch(&format!(
            "CREATE TEMP TABLE kept_{table} AS SELECT * FROM main.{table}"
        ))
        .unwrap();
    }
}

fn put_back(db: &Database) {
    let restore = TABLES.map(|table| {
        format!("DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM kept_{table};")
    });
    db.execute_batch(&format!("BEGIN; {} COMMIT", restore.concat()))
        .unwrap();
}

/// Returns whether any of the tables differs from what was kept.
fn is_changed(db: &Database) -> bool {
    let differs = |table: &str| {
        let sql = format!(
            "SELECT EXISTS (SELECT * FROM main.{table} EXCEPT SELECT * FROM kept_{table})
                 OR EXISTS (SELECT * FROM kept_{table} EXCEPT SELECT * FROM main.{table})"
        );
        db.query_row(&sql, [], |row| row.get::<_, bool>(0)).unwrap()
    };
    TABLES.into_iter().any(differs)
}

/// Returns a file with every kind of event in the chain of "acme", and two gaps in it: pruned
/// entries.
fn tampered_file(schema: u32) -> (tempfile::TempDir, std::path::PathBuf) {
    let (directory, path) = place_of(schema);
    let vault = open(&path).unwrap();
    live(&vault);
    for number in 31..45 {
        grant(&vault, &connection(number), &tokens("access", "refresh"));
        let uses = [a_use(number, 20), a_use(number, 21)];
        vault.record_uses(&uses, UseRecord::Entries).unwrap();
        if number == 38 {
            head_of(&vault);
        }
    }
    let mut limits = sweep_limits(40);
    limits.retention = Retention::default().uses(Duration::from_secs(9));
    // Some entries are kept: uses on both sides of an entry about a change leave two gaps.
    limits.rows = 12;
    assert_eq!(vault.sweep(&limits).unwrap().audit_entries, 12);
    assert_intact(&vault);
    drop(vault);
    (directory, path)
}

#[test]
fn promise_28_tampering_with_a_chain_is_detected() {
    let rounds = if full() { 10_000 } else { 600 };
    let (_directory, path) = tampered_file(NEWEST);
    detects_all(&path, &own_chain(), ("audit", "chain = 1", 1), rounds);
    for schema in [1, 2] {
        let (_directory, path) = tampered_file(schema);
        let legacy = ("audit_legacy", "1 = 1", -1);
        detects_all(&path, &AuditChain::Legacy, legacy, rounds / 3);
        detects_all(&path, &own_chain(), ("audit", "chain = 1", 1), rounds / 3);
    }
}

fn detects_all(path: &Path, chain: &AuditChain, table: (&'static str, &'static str, i64), rounds: usize) {
    let vault = open(path).unwrap();
    let db = Database::open(path).unwrap();
    keep_tables(&db);
    let target = Target::new(&db, table.0, table.1, table.2);
    assert!(target.numbers.len() > 10);
    let mut random = Random::new(28);
    let (mut tampered, mut detected) = (0, 0);
    while tampered < rounds {
        let sql = target.tamper(&mut random);
        db.execute_batch(&sql).unwrap();
        if is_changed(&db) {
            tampered += 1;
            assert!(!verify(&vault, chain).is_intact(), "not detected: {sql}");
            detected += 1;
            // Entries that are written afterwards do not hide it.
            if tampered % 10 == 0 {
                grant(&vault, &connection(99), &tokens("access", "refresh"));
                assert!(!verify(&vault, chain).is_intact(), "covered up: {sql}");
                forget_user(&vault, &user_of(99)).unwrap();
            }
        }
        put_back(&db);
    }
    println!("{detected} of {tampered} detected in {chain:?}");
    assert_eq!(detected, rounds);
    assert!(verify(&vault, chain).is_intact(), "put back, it is whole");
}

/// The only remains of the chain of schemas 1 and 2 are that the others continue it.
#[test]
fn promise_28_a_removed_chain_is_detected() {
    for schema in [1, 2] {
        let (_directory, path) = place_of(schema);
        let vault = open(&path).unwrap();
        let db = Database::open(&path).unwrap();
        db.execute_batch("DELETE FROM audit_legacy; DELETE FROM audit_heads WHERE chain = -1")
            .unwrap();
        assert!(chains(&vault).contains(&AuditChain::Legacy));
        assert!(!verify(&vault, &AuditChain::Legacy).is_intact());
        db.execute_batch("DELETE FROM audit_gaps; DELETE FROM audit_heads")
            .unwrap();
        for chain in [AuditChain::Vault, own_chain()] {
            assert!(!verify(&vault, &chain).is_intact(), "{chain:?}");
        }
    }
}

/// Checkpoints prove exported heads after their entries were pruned. A changed checkpoint proves
/// nothing, and no change makes a head that was never exported look exported.
#[test]
fn promise_28_tampering_with_a_checkpoint_is_detected() {
    let (_directory, path) = place();
    let vault = open(&path).unwrap();
    grant(&vault, &connection(11), &tokens("access", "refresh"));
    let mut heads = Vec::new();
    for second in 0..20 {
        vault
            .record_uses(&[a_use(11, second)], UseRecord::Entries)
            .unwrap();
        heads.push(head_of(&vault));
    }
    let mut limits = sweep_limits(1_000);
    limits.retention = Retention::default().uses(Duration::from_secs(9));
    assert_eq!(vault.sweep(&limits).unwrap().audit_entries, 20);
    assert!(heads.iter().all(|head| vault.proves(head).unwrap()));
    let db = Database::open(&path).unwrap();
    keep_tables(&db);
    let target = Target::new(&db, "audit_checkpoints", "chain = 1", 1);
    assert_eq!(target.numbers.len(), 20);
    let rounds = if full() { 10_000 } else { 600 };
    let mut random = Random::new(29);
    for _ in 0..rounds {
        let number = target.pick(&mut random);
        let one = format!("chain = 1 AND number = {number}");
        let other = target.pick(&mut random);
        let forged: [u8; 32] = std::array::from_fn(|_| u8::try_from(random.below(256)).unwrap());
        let sql = match random.below(7) {
            0 => target.flip(&mut random, "audit_checkpoints", "mac", &one),
            1 => target.flip(&mut random, "audit_checkpoints", "seal", &one),
            2 => format!("DELETE FROM audit_checkpoints WHERE {one}"),
            3 => format!("UPDATE audit_checkpoints SET number = number + 100 WHERE {one}"),
            4 => format!("UPDATE audit_checkpoints SET chain = chain + 1 WHERE {one}"),
            5 => format!(
                "UPDATE audit_checkpoints SET mac = x'{}' WHERE {one}",
                hex(&forged)
            ),
            _ if other == number => continue,
            _ => format!(
                "UPDATE audit_checkpoints SET (mac, seal) = (SELECT mac, seal FROM audit_checkpoints
                    WHERE chain = 1 AND number = {other}) WHERE {one}"
            ),
        };
        db.execute_batch(&sql).unwrap();
        assert!(is_changed(&db), "{sql}");
        for head in &heads {
            let is_proved = vault.proves(head).unwrap();
            assert_eq!(is_proved, i64::try_from(head.number()) != Ok(number), "{sql}");
        }
        for number in [number, number + 100] {
            let never = audit_head(own_chain(), number.unsigned_abs(), forged);
            assert!(!vault.proves(&never).unwrap(), "{sql}");
        }
        put_back(&db);
    }
    assert!(heads.iter().all(|head| vault.proves(head).unwrap()));
}
