//! The audit as a table for spreadsheets ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180)).

use super::time::rfc3339;
use crate::vault::AuditEntry;

/// The columns, in their order.
const COLUMNS: [&str; 13] = [
    "number",
    "time",
    "kind",
    "service",
    "connection",
    "user",
    "actor",
    "role",
    "workspace",
    "detail",
    "purpose",
    "turn",
    "generation",
];

/// Returns entries as a table with a head. It begins with a byte order mark, without which some
/// spreadsheets do not read it as UTF-8.
pub(super) fn audit(entries: &[AuditEntry]) -> String {
    let mut table = String::from('\u{feff}');
    line(&mut table, COLUMNS.map(str::to_owned));
    for entry in entries {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let number = |value: Option<u64>| value.map(|it| it.to_string()).unwrap_or_default();
        line(
            &mut table,
            [
                entry.number.to_string(),
                rfc3339(entry.at),
                entry.kind.as_str().to_owned(),
                text(entry.provider.as_ref().map(AsRef::as_ref)),
                entry.connection.map(|id| id.to_string()).unwrap_or_default(),
                text(entry.user.as_ref().map(AsRef::as_ref)),
                text(entry.actor.as_ref().map(|actor| actor.user().as_str())),
                text(entry.actor.as_ref().map(|actor| actor.role())),
                entry.shared.to_string(),
                text(entry.detail.as_deref()),
                text(entry.purpose.as_deref()),
                text(entry.turn.as_deref()),
                number(entry.generation),
            ],
        );
    }
    table
}

fn line(table: &mut String, cells: [String; COLUMNS.len()]) {
    let cells = cells.map(|cell| quoted(&cell));
    table.push_str(&cells.join(","));
    table.push_str("\r\n");
}

/// Returns a cell in quotation marks. Spreadsheets run a cell that begins like a formula, even in
/// quotation marks, so an apostrophe makes it text.
fn quoted(cell: &str) -> String {
    let is_formula = cell
        .trim_start_matches(|c: char| c.is_whitespace() && !matches!(c, '\t' | '\r' | '\n'))
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let guard = if is_formula { "'" } else { "" };
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timestamp, UserId};
    use crate::vault::AuditKind;

    #[test]
    fn a_cell_is_text_whatever_it_contains() {
        for (cell, written) in [
            ("plain", "\"plain\""),
            ("", "\"\""),
            ("a \"b\", c", "\"a \"\"b\"\", c\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("  =1", "\"'  =1\""),
            ("＝1", "\"'＝1\""),
            ("1=2", "\"1=2\""),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }

    #[test]
    fn an_entry_is_one_line() {
        let user = UserId::new("=cmd|' /C calc'!A0").unwrap();
        let mut entry = AuditEntry::new(AuditKind::TokenUsed, Timestamp::from_unix_millis(0));
        entry.user = Some(user);
        entry.purpose = Some("first\r\nsecond".into());
        let table = audit(&[entry]);
        assert!(table.starts_with("\u{feff}\"number\",\"time\",\"kind\","));
        let row = "\"0\",\"1970-01-01T00:00:00Z\",\"token_used\",\"\",\"\",\"'=cmd|' /C calc'!A0\",\"\",\"\",\
                   \"false\",\"\",\"first\r\nsecond\",\"\",\"\"\r\n";
        assert!(table.ends_with(row), "{table}");
    }
}
