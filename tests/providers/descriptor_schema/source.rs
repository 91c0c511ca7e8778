//! The descriptors' types, read from their source: names, documentation, and what serde is told about them.

use std::collections::BTreeMap;
use std::path::Path;

/// A type that a descriptor file holds.
#[derive(Debug)]
pub(crate) enum Shape {
    Struct(Vec<Member>),
    Enum(Vec<Member>),
}

/// A field of a struct or a variant of an enum.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) attributes: String,
    /// The type of a field or of what a variant holds; the members of a variant with names in it.
    pub(crate) holds: Holds,
}

#[derive(Debug)]
pub(crate) enum Holds {
    Nothing,
    Type(String),
    Members(Vec<Member>),
}

/// Every type in `src/provider` that serde reads, by name.
pub(crate) fn shapes() -> BTreeMap<String, Shape> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/provider");
    let mut shapes = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            for piece in text.split("serde::Deserialize))]").skip(1) {
                read(piece, &mut shapes);
            }
        }
    }
    shapes
}

/// The type whose derive was just read.
fn read(text: &str, shapes: &mut BTreeMap<String, Shape>) {
    let (attributes, rest) = text.split_once("pub ").unwrap();
    let (kind, rest) = rest.split_once(' ').unwrap();
    let (name, rest) = rest.split_once([' ', '(']).unwrap();
    if !rest.starts_with('{') {
        return;
    }
    let (body, _) = bracketed(rest);
    let all_default = attributes
        .split_whitespace()
        .collect::<String>()
        .contains("serde(default");
    let mut list = members(body);
    if all_default {
        list.iter_mut()
            .for_each(|member| member.attributes.push_str("serde(default"));
    }
    let shape = match kind {
        "struct" => Shape::Struct(list),
        "enum" => Shape::Enum(list),
        other => panic!("{other} {name}"),
    };
    assert!(shapes.insert(name.to_owned(), shape).is_none(), "{name} twice");
}

/// What stands between the first bracket and its partner, and what follows.
fn bracketed(text: &str) -> (&str, &str) {
    let mut depth = 0;
    let mut in_comment = false;
    for (at, c) in text.char_indices() {
        in_comment = (in_comment || text[at..].starts_with("//")) && c != '\n';
        match c {
            _ if in_comment => {}
            '{' | '(' | '[' | '<' => depth += 1,
            '}' | ')' | ']' | '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&text[1..at], &text[at + 1..]);
        }
    }
    panic!("no end to {text:.60}");
}

/// The members of a body: documentation, attributes, a declaration, a comma.
fn members(body: &str) -> Vec<Member> {
    let mut list = Vec::new();
    let (mut about, mut attributes) = (String::new(), String::new());
    let mut rest = body.trim_start();
    while !rest.is_empty() {
        if let Some(line) = rest.strip_prefix("//") {
            let (line, after) = line.split_once('\n').unwrap_or((line, ""));
            if let Some(text) = line.strip_prefix('/') {
                about.push_str(if about.is_empty() { "" } else { " " });
                about.push_str(text.trim());
            }
            rest = after.trim_start();
        } else if let Some(attribute) = rest.strip_prefix('#') {
            let (inner, after) = bracketed(attribute);
            attributes.push_str(inner);
            rest = after.trim_start();
        } else {
            let end = end_of_declaration(rest);
            let (name, holds, inner) = declaration(rest[..end].trim());
            attributes.push_str(&inner);
            list.push(Member {
                name,
                about: plain(&std::mem::take(&mut about)),
                attributes: std::mem::take(&mut attributes),
                holds,
            });
            rest = rest[end..].trim_start_matches(',').trim_start();
        }
    }
    list
}

fn end_of_declaration(text: &str) -> usize {
    let mut at = 0;
    while at < text.len() {
        match text.as_bytes()[at] {
            b',' => return at,
            b'{' | b'(' | b'[' | b'<' => {
                let (_, after) = bracketed(&text[at..]);
                at = text.len() - after.len();
            }
            _ => at += 1,
        }
    }
    at
}

/// A name, what it holds, and the attributes inside a variant's brackets.
fn declaration(text: &str) -> (String, Holds, String) {
    let text = text.trim_start_matches("pub ");
    if let Some((name, kind)) = text
        .split_once(": ")
        .filter(|(name, _)| !name.contains(['{', '(']))
    {
        return (name.to_owned(), Holds::Type(kind.to_owned()), String::new());
    }
    let name_end = text.find([' ', '{', '(']).unwrap_or(text.len());
    let (name, rest) = (snake(&text[..name_end]), text[name_end..].trim_start());
    match rest.chars().next() {
        None => (name, Holds::Nothing, String::new()),
        Some('(') => {
            let one = members_of_tuple(bracketed(rest).0);
            (name, Holds::Type(one.1), one.0)
        }
        Some(_) => (name, Holds::Members(members(bracketed(rest).0)), String::new()),
    }
}

/// The attributes and the type of the one value of a tuple variant.
fn members_of_tuple(text: &str) -> (String, String) {
    let text = text.trim();
    match text.strip_prefix('#') {
        Some(attribute) => {
            let (inner, after) = bracketed(attribute);
            (inner.to_owned(), after.trim().trim_end_matches(',').to_owned())
        }
        None => (String::new(), text.trim_end_matches(',').to_owned()),
    }
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// Documentation without the links: their text stays.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        out.push_str(before);
        let Some((label, after)) = link.split_once(']') else {
            out.push('[');
            rest = link;
            continue;
        };
        // `https://[::1]` is no link, a code span or an address in brackets is.
        let target = after.strip_prefix('(').and_then(|target| target.split_once(')'));
        match target {
            Some((_, after)) => {
                out.push_str(label);
                rest = after;
            }
            None if label.starts_with('`') => {
                out.push_str(label);
                rest = after;
            }
            None => {
                out.push('[');
                rest = link;
            }
        }
    }
    out.push_str(rest);
    out
}
