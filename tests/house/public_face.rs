//! The size of the public API: each public type is a commitment to hosts.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Meaning, Names, Source, Target};

/// The maximum number of public structs, enums and traits for each feature that adds them. The
/// first is the default API, which every host sees.
const MOST: [(&str, usize); 8] = [
    ("", 120),
    ("postgres", 2),
    ("aws-kms", 2),
    ("vault-transit", 1),
    ("pkcs11", 1),
    ("mcp", 3),
    ("gateway", 10),
    ("testing", 20),
];

/// Returns the feature that makes a type public, determined by the file that defines it.
fn feature(file: &str) -> &'static str {
    match file {
        "engine/mcp/identity.rs" | "engine/mcp/options.rs" | "protocol/mcp/problem.rs" => return "mcp",
        "vault/postgres/options.rs" | "vault/postgres/vault.rs" => return "postgres",
        "vault/kms/aws.rs" => return "aws-kms",
        "vault/kms/transit.rs" => return "vault-transit",
        "vault/kms/pkcs11.rs" => return "pkcs11",
        _ => {}
    }
    match file.split('/').next() {
        Some("gateway") => "gateway",
        Some("testing") => "testing",
        _ => "",
    }
}

/// Returns the public types by the file that defines them, with the paths that name them.
fn public_types(source: &Source) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut types = BTreeMap::new();
    let mut open = vec![(Names::new(), Names::new())];
    let mut seen = BTreeSet::new();
    while let Some((module, path)) = open.pop() {
        if !seen.insert((module.clone(), path.clone())) {
            continue;
        }
        let Some(found) = source.module(&module) else {
            continue;
        };
        for (name, entries) in &found.names {
            for entry in entries.iter().filter(|entry| entry.is_public) {
                let named = [path.as_slice(), std::slice::from_ref(name)].concat();
                let target = match &entry.meaning {
                    Meaning::Type => Some(Target::Item(found.file.clone(), name.clone(), Some(true))),
                    Meaning::Item => None,
                    Meaning::Module => Some(Target::Module(
                        [module.as_slice(), std::slice::from_ref(name)].concat(),
                    )),
                    Meaning::Import(import) => source.resolve(&module, import),
                };
                match target {
                    Some(Target::Module(below)) => open.push((below, named)),
                    Some(Target::Item(file, item, is_type))
                        if is_type.unwrap_or_else(|| is_type_name(&item)) =>
                    {
                        let paths: &mut BTreeSet<String> = types.entry((file, item)).or_default();
                        paths.insert(named.join("::"));
                    }
                    _ => {}
                }
            }
        }
        for (glob, _) in found.globs.iter().filter(|(_, is_public)| *is_public) {
            if let Some(Target::Module(other)) = source.resolve(&module, glob) {
                open.push((other, path.clone()));
            }
        }
    }
    types
}

/// Returns whether a name that a macro defines is the name of a type: `TenantId`, but not `MAX_LEN`
/// or `check`.
fn is_type_name(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase)
}

#[test]
fn no_more_is_public_than_was_decided() {
    let types = public_types(&Source::read());
    for (name, most) in MOST {
        let list: Vec<_> = types
            .iter()
            .filter(|((file, _), _)| feature(file) == name)
            .map(|((file, name), paths)| {
                format!("{name} of {file}: {}", Vec::from_iter(paths.clone()).join(", "))
            })
            .collect();
        assert!(
            list.len() <= most,
            "{} public types of {name:?}, {most} were decided; hide one, or decide on one more:\n{}",
            list.len(),
            list.join("\n")
        );
        assert!(
            list.len() + 5 > most,
            "only {} of {name:?}: lower the bound",
            list.len()
        );
    }
}

#[test]
fn no_two_public_types_have_one_name() {
    let types = public_types(&Source::read());
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (file, name) in types.keys() {
        names.entry(name).or_default().push(file);
    }
    names.retain(|_, files| files.len() > 1);
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn what_is_public_is_counted() {
    let mut source = Source::default();
    source.put(
        "lib.rs",
        "pub mod open; mod closed; pub use crate::closed::{Shown, made::Kind, LIMIT};
         #[doc(hidden)] pub mod hidden; #[cfg(feature = \"_internals\")] pub mod internals { pub struct Inner; }
         pub use crate::open::Twice; pub(crate) struct Own;",
    );
    source.put(
        "open.rs",
        "pub struct Twice; pub fn f() {} pub use crate::closed::deep::*;",
    );
    source.put(
        "closed.rs",
        "pub struct Shown; pub struct Unshown; pub const LIMIT: u8 = 1; pub mod deep; pub mod made { id!(Kind); }",
    );
    source.put("closed/deep.rs", "pub trait Deep {} pub type Alias = u8;");
    source.put("hidden.rs", "pub struct Hidden;");
    let types = public_types(&source);
    let names: Vec<_> = types.keys().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["Kind", "Shown", "Deep", "Twice"]);
    let twice = &types[&("open.rs".to_owned(), "Twice".to_owned())];
    assert_eq!(Vec::from_iter(twice), ["Twice", "open::Twice"]);
}
