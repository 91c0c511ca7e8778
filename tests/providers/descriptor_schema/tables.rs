//! Generates the tables of `docs/descriptors.md` from the same types.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::schema::is_required;
use super::source::{Holds, Member, Shape};

const BEGIN: &str = "<!-- fields of ";
const END: &str = "<!-- end -->";

/// Returns the page with regenerated tables between its marks.
pub(crate) fn written(page: &str, shapes: &BTreeMap<String, Shape>) -> String {
    let mut out = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, after) = after.split_once(" -->").unwrap();
        let (_, after) = after.split_once(END).unwrap();
        let table = match &shapes[name] {
            Shape::Struct(fields) => fields_of(fields, shapes),
            Shape::Enum(variants) => variants_of(variants),
        };
        let _ = write!(out, "{before}{BEGIN}{name} -->\n\n{table}\n{END}");
        rest = after;
    }
    out + rest
}

/// Returns the names of the types that have a table.
pub(crate) fn tabled(page: &str) -> Vec<&str> {
    let marks = page.split(BEGIN).skip(1);
    marks
        .filter_map(|mark| Some(mark.split_once(" -->")?.0))
        .collect()
}

fn fields_of(fields: &[Member], shapes: &BTreeMap<String, Shape>) -> String {
    let mut table = String::from("| field | what | meaning |\n|---|---|---|\n");
    for field in fields {
        let Holds::Type(kind) = &field.holds else { continue };
        let required = if is_required(field) { " (required)" } else { "" };
        let what = what(kind, shapes);
        let _ = writeln!(table, "| `{}`{required} | {what} | {} |", field.name, field.about);
    }
    table
}

fn variants_of(variants: &[Member]) -> String {
    let mut table = String::from("| value | meaning |\n|---|---|\n");
    for variant in variants {
        let written = match &variant.holds {
            Holds::Nothing => format!("\"{}\"", variant.name),
            Holds::Type(_) => format!("{{\"{}\": …}}", variant.name),
            Holds::Members(fields) => {
                let names: Vec<String> = fields
                    .iter()
                    .map(|field| format!("\"{}\": …", field.name))
                    .collect();
                format!("{{\"{}\": {{{}}}}}", variant.name, names.join(", "))
            }
        };
        let _ = writeln!(table, "| `{written}` | {} |", variant.about);
    }
    table
}

fn what(kind: &str, shapes: &BTreeMap<String, Shape>) -> String {
    let inner = |outer: &str| kind.strip_prefix(outer).and_then(|rest| rest.strip_suffix('>'));
    if let Some(kind) = inner("Option<") {
        return what(kind, shapes);
    }
    if let Some(kind) = inner("Vec<") {
        return format!("list of {}", plural(kind));
    }
    if let Some(kind) = inner("BTreeMap<String, ") {
        return format!("names to {}", plural(kind));
    }
    match kind {
        "String" | "Pattern" => "text".into(),
        "bool" => "true/false".into(),
        "u16" => "number".into(),
        "Duration" => "seconds".into(),
        "ServerId" | "ProviderId" => "id".into(),
        "Scopes" => "list of scopes".into(),
        "Pointer" => "JSON pointer".into(),
        other => match &shapes[other] {
            Shape::Enum(variants) if variants.iter().all(|it| matches!(it.holds, Holds::Nothing)) => {
                let names: Vec<String> = variants.iter().map(|it| format!("`\"{}\"`", it.name)).collect();
                names.join(" · ")
            }
            _ => "see below".into(),
        },
    }
}

fn plural(kind: &str) -> &str {
    match kind {
        "String" => "text",
        "u16" => "numbers",
        "Pointer" => "JSON pointers",
        "Scopes" => "lists of scopes",
        _ => "objects, see below",
    }
}
