//! The files of the crate import only from lower layers, and without cycles.
//!
//! The graph consists of the files below `src`: a file imports the file that defines the target of
//! one of its paths, through all re-exports. Declaring a module or re-exporting a name is not an
//! import, so a file that does only this is a facade and imports nothing. Imports in tests count
//! for the layers but not for cycles.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, Target};

/// The layers from top to bottom. A file may import from its own layer and from lower ones.
const LAYERS: [&[&str]; 12] = [
    &["internals", "messages"],
    &["testing"],
    &["gateway", "guide", "loopback", "upkeep_guard"],
    &["resolver"],
    &["manager", "connections"],
    &["engine"],
    &["trace"],
    &["error"],
    &["vault", "protocol"],
    &["provider"],
    &["http"],
    &["model", "secret", "clock", "random", "prehashed"],
];

fn layer(file: &str) -> Option<usize> {
    let module = file.split(['/', '.']).next()?;
    LAYERS.iter().position(|modules| modules.contains(&module))
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    from: String,
    to: String,
    path: String,
    in_test: bool,
    is_reexport: bool,
}

fn imports(source: &Source) -> BTreeSet<Import> {
    let references = source.references().into_iter();
    references
        .filter_map(
            |(from, reference)| match source.resolve(&reference.module, &reference.path)? {
                Target::Item(to, ..) if to != from => Some(Import {
                    from: from.to_owned(),
                    to,
                    path: reference.path.join("::"),
                    in_test: reference.in_test,
                    is_reexport: reference.is_reexport,
                }),
                _ => None,
            },
        )
        .collect()
}

fn upward(imports: &BTreeSet<Import>) -> Vec<String> {
    imports
        .iter()
        .filter(|import| match (layer(&import.from), layer(&import.to)) {
            (Some(own), Some(other)) => other < own,
            _ => false,
        })
        .map(|import| format!("{} imports {} ({})", import.from, import.to, import.path))
        .collect()
}

/// Returns the sets of files that import each other.
fn cycles(imports: &BTreeSet<Import>) -> Vec<Vec<String>> {
    let mut graph: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for import in imports {
        if !import.in_test && !import.is_reexport {
            graph.entry(&import.from).or_default().insert(&import.to);
        }
    }
    let reached: BTreeMap<&String, BTreeSet<&String>> = graph
        .keys()
        .map(|file| (*file, reachable(&graph, file)))
        .collect();
    let mut cycles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, ahead) in &reached {
        if ahead.contains(file) {
            let members = ahead
                .iter()
                .filter(|other| reached.get(*other).is_some_and(|back| back.contains(file)));
            cycles.insert(members.map(|member| (*member).clone()).collect());
        }
    }
    cycles.into_iter().collect()
}

fn reachable<'g>(graph: &BTreeMap<&'g String, BTreeSet<&'g String>>, from: &String) -> BTreeSet<&'g String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = graph.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = open.pop() {
        if reached.insert(file) {
            open.extend(graph.get(file).into_iter().flatten().copied());
        }
    }
    reached
}

#[test]
fn imports_point_down_and_never_back() {
    let source = Source::read();
    assert!(source.files().count() > 100, "the crate was not read");
    let imports = imports(&source);
    assert!(imports.len() > 1000, "its imports were not found");
    let upward = upward(&imports);
    assert!(upward.is_empty(), "imports that point up:\n{}", upward.join("\n"));
    let cycles = cycles(&imports);
    let is_within =
        |files: &Vec<String>, import: &Import| files.contains(&import.from) && files.contains(&import.to);
    let edges: Vec<_> = imports
        .iter()
        .filter(|import| !import.in_test && !import.is_reexport)
        .filter(|import| cycles.iter().any(|files| is_within(files, import)))
        .map(|import| format!("{} imports {} ({})", import.from, import.to, import.path))
        .collect();
    assert!(
        cycles.is_empty(),
        "files import each other:\n{}",
        edges.join("\n")
    );
}

#[test]
fn every_module_of_the_crate_has_a_layer() {
    let source = Source::read();
    for file in source.files().filter(|file| *file != "lib.rs") {
        assert!(layer(file).is_some(), "{file} has no layer");
    }
}

/// Returns a crate of a few files.
fn crate_of(files: &[(&str, &str)]) -> Source {
    let mut source = Source::default();
    for (file, text) in files {
        source.put(file, text);
    }
    source
}

const ROOT: (&str, &str) = (
    "lib.rs",
    "mod engine; pub mod resolver; pub mod vault; pub use crate::resolver::Policy;",
);
const RESOLVER: (&str, &str) = ("resolver/mod.rs", "mod policy; pub use policy::Policy;");
const POLICY: (&str, &str) = ("resolver/policy.rs", "pub struct Policy;");
const ENGINE: (&str, &str) = ("engine/mod.rs", "pub mod settings;");
const SETTINGS: (&str, &str) = ("engine/settings.rs", "pub struct Settings;");
const VAULT: (&str, &str) = ("vault/mod.rs", "mod sqlite; mod keys;");

/// Returns the upward imports of a file of the vault with this text.
fn upward_of(text: &str) -> Vec<String> {
    let files = [
        ROOT,
        RESOLVER,
        POLICY,
        ENGINE,
        SETTINGS,
        VAULT,
        ("vault/sqlite.rs", text),
    ];
    let found = upward(&imports(&crate_of(&files)));
    let from = |line: &String| line.split(" imports ").nth(1).unwrap().to_owned();
    found.iter().map(from).collect()
}

#[test]
fn an_upward_import_is_found_wherever_it_stands() {
    let policy = |path: &str| vec![format!("resolver/policy.rs ({path})")];
    assert_eq!(
        upward_of("pub fn set(_: &crate::resolver::Policy, _: &crate::engine::settings::Settings) {}"),
        [
            "engine/settings.rs (crate::engine::settings::Settings)",
            "resolver/policy.rs (crate::resolver::Policy)"
        ]
    );
    assert_eq!(
        upward_of("use crate::{engine::{self, settings::{Settings as S}}, resolver::{Policy}};"),
        [
            "engine/settings.rs (crate::engine::settings::Settings)",
            "resolver/policy.rs (crate::resolver::Policy)"
        ]
    );
    // Inside a function, in a test, through an alias, a re-export, a parent, a glob and a macro.
    for (text, path) in [
        (
            "fn f() { let _ = crate::resolver::Policy; }",
            "crate::resolver::Policy",
        ),
        (
            "#[cfg(test)] mod tests { use crate::resolver::Policy; }",
            "crate::resolver::Policy",
        ),
        (
            "use crate::resolver as r; fn f() { let _ = r::Policy; }",
            "r::Policy",
        ),
        ("use crate::Policy as P;", "crate::Policy"),
        (
            "use super::super::resolver::Policy;",
            "super::super::resolver::Policy",
        ),
        ("use crate::resolver::*; fn f(_: Policy) {}", "Policy"),
        (
            "fn f() { matches!(1, crate::resolver::Policy) }",
            "crate::resolver::Policy",
        ),
        ("pub use crate::resolver::Policy;", "crate::resolver::Policy"),
    ] {
        assert_eq!(upward_of(text), policy(path), "{text}");
    }
    assert!(
        upward_of("// use crate::resolver::Policy;\nconst A: &str = \"crate::resolver::Policy\";").is_empty()
    );
}

/// An import that the predecessor of this test missed, in the file where it was found.
#[test]
fn an_upward_import_is_found_in_the_crate_itself() {
    let mut source = Source::read();
    let file = "vault/sqlite/rows.rs";
    let text = std::fs::read_to_string(format!("{}/src/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let added = "fn added(_: &crate::resolver::Policy, _: &crate::engine::settings::Settings) {}";
    source.put(file, &format!("{text}\n{added}"));
    assert_eq!(
        upward(&imports(&source)),
        [
            "vault/sqlite/rows.rs imports engine/settings.rs (crate::engine::settings::Settings)",
            "vault/sqlite/rows.rs imports resolver/policy.rs (crate::resolver::Policy)"
        ]
    );
}

#[test]
fn a_cycle_is_found() {
    let cycles_of = |sqlite: &str, keys: &str| {
        let files = [ROOT, RESOLVER, POLICY, ENGINE, SETTINGS, VAULT];
        let mut source = crate_of(&files);
        source.put("vault/sqlite.rs", sqlite);
        source.put("vault/keys.rs", keys);
        cycles(&imports(&source))
    };
    let cycle = [["vault/keys.rs", "vault/sqlite.rs"]];
    assert_eq!(
        cycles_of(
            "use super::keys::Key; pub struct Row;",
            "use super::sqlite::Row; pub struct Key;"
        ),
        cycle
    );
    assert_eq!(
        cycles_of(
            "use crate::vault::{self}; fn f() { vault::keys::g() } pub fn h() {}",
            "use crate::{vault::{sqlite::{h}}}; pub fn g() { h() }"
        ),
        cycle
    );
    // A parent that has its own items is not a facade.
    let mut source = crate_of(&[ROOT, RESOLVER, POLICY, ENGINE, SETTINGS]);
    source.put("vault/mod.rs", "mod keys; pub struct Row; fn f(_: keys::Key) {}");
    source.put("vault/keys.rs", "use super::Row; pub struct Key;");
    assert_eq!(cycles(&imports(&source)), [["vault/keys.rs", "vault/mod.rs"]]);
    // Tests and facades do not cause cycles.
    assert!(
        cycles_of(
            "use super::keys::Key; pub struct Row;",
            "#[cfg(test)] mod tests { use crate::vault::sqlite::Row; } pub struct Key;"
        )
        .is_empty()
    );
    source.put("vault/mod.rs", "mod keys; pub struct Row; pub use keys::Key;");
    assert!(cycles(&imports(&source)).is_empty());
}
