//! Reads the descriptors' types from their source: names, documentation and serde attributes.

use std::collections::BTreeMap;
use std::path::Path;

use syn::{
    Attribute, Expr, ExprLit, Fields, FieldsNamed, GenericArgument, Item, Lit, MetaNameValue, PathArguments,
    Type,
};

/// A type in a descriptor file.
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
    /// The type of a field or of a variant's data; the members of a variant with named fields.
    pub(crate) holds: Holds,
}

#[derive(Debug)]
pub(crate) enum Holds {
    Nothing,
    Type(String),
    Members(Vec<Member>),
}

/// The types whose name in the schema is that of the public type around them.
const PUBLIC_NAMES: [(&str, &str); 2] = [
    ("ServerDescriptor", "AuthorizationServer"),
    ("ProviderDescriptor", "Provider"),
];

/// Returns every type in `src/provider` that serde reads, by name.
pub(crate) fn shapes() -> BTreeMap<String, Shape> {
    let mut shapes = BTreeMap::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/provider")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file = syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap();
                read(&file, &mut shapes);
            }
        }
    }
    shapes
}

/// Reads the types of a file that serde reads and whose members have names.
fn read(file: &syn::File, shapes: &mut BTreeMap<String, Shape>) {
    for item in &file.items {
        let (name, told) = match item {
            Item::Struct(it) => (&it.ident, attributes(&it.attrs)),
            Item::Enum(it) => (&it.ident, attributes(&it.attrs)),
            _ => continue,
        };
        if !told.contains("serde::Deserialize") {
            continue;
        }
        let shape = match item {
            Item::Struct(it) => {
                let Fields::Named(fields) = &it.fields else {
                    continue;
                };
                let mut fields = fields_of(fields);
                if told.contains("serde(default") {
                    for field in &mut fields {
                        field.attributes.push_str("serde(default");
                    }
                }
                Shape::Struct(fields)
            }
            Item::Enum(it) => Shape::Enum(it.variants.iter().map(variant).collect()),
            _ => continue,
        };
        let name = name.to_string();
        let known = PUBLIC_NAMES.iter().find(|(inner, _)| *inner == name);
        let name = known.map_or(name, |(_, public)| (*public).to_owned());
        assert!(shapes.insert(name.clone(), shape).is_none(), "{name} twice");
    }
}

fn fields_of(fields: &FieldsNamed) -> Vec<Member> {
    let member = |field: &syn::Field| Member {
        name: field.ident.as_ref().unwrap().to_string(),
        about: about(&field.attrs),
        attributes: attributes(&field.attrs),
        holds: Holds::Type(type_of(&field.ty)),
    };
    fields.named.iter().map(member).collect()
}

fn variant(variant: &syn::Variant) -> Member {
    let mut attributes_of_it = attributes(&variant.attrs);
    let holds = match &variant.fields {
        Fields::Unit => Holds::Nothing,
        Fields::Named(fields) => Holds::Members(fields_of(fields)),
        Fields::Unnamed(fields) => {
            assert_eq!(fields.unnamed.len(), 1, "{}", variant.ident);
            let field = &fields.unnamed[0];
            attributes_of_it.push_str(&attributes(&field.attrs));
            Holds::Type(type_of(&field.ty))
        }
    };
    Member {
        name: snake(&variant.ident.to_string()),
        about: about(&variant.attrs),
        attributes: attributes_of_it,
        holds,
    }
}

/// Returns the attributes with a list, without whitespace, including those for serde.
fn attributes(attributes: &[Attribute]) -> String {
    let lists = attributes.iter().filter_map(|it| it.meta.require_list().ok());
    let text = lists.map(|list| {
        let path = list
            .path
            .get_ident()
            .map_or_else(String::new, ToString::to_string);
        format!("{path}({})", list.tokens)
    });
    text.collect::<String>().split_whitespace().collect()
}

/// Returns the documentation as one line of plain text.
fn about(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes.iter().filter(|it| it.path().is_ident("doc")) {
        if let Ok(MetaNameValue {
            value: Expr::Lit(ExprLit {
                lit: Lit::Str(line), ..
            }),
            ..
        }) = attribute.meta.require_name_value()
        {
            lines.push(line.value().trim().to_owned());
        }
    }
    plain(&lines.join(" "))
}

/// Returns a type without paths: `Option<Vec<String>>`.
fn type_of(kind: &Type) -> String {
    let Type::Path(path) = kind else {
        panic!("a type of another form")
    };
    let last = path.path.segments.last().unwrap();
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => {
            let arguments: Vec<String> = arguments
                .args
                .iter()
                .map(|argument| match argument {
                    GenericArgument::Type(kind) => type_of(kind),
                    _ => panic!("{}: an argument of another form", last.ident),
                })
                .collect();
            format!("{}<{}>", last.ident, arguments.join(", "))
        }
        _ => last.ident.to_string(),
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

/// Replaces links in documentation by their text.
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
        // `https://[::1]` is not a link; a code span or a path in brackets is.
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
