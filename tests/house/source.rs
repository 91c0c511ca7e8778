//! Reads the modules of the crate: the names in each module and the targets of its paths.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, UseTree, Visibility};

/// The path of a module or an item, without `crate`.
pub(crate) type Names = Vec<String>;

/// The meaning of a name in a module.
#[derive(Debug, Clone)]
pub(crate) enum Meaning {
    /// A struct, enum, union or trait.
    Type,
    /// Another item.
    Item,
    /// A child module.
    Module,
    /// The target of this path.
    Import(Names),
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) meaning: Meaning,
    /// True if it is `pub`, documented, and available without `_internals`.
    pub(crate) is_public: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Module {
    pub(crate) file: String,
    pub(crate) names: BTreeMap<String, Vec<Entry>>,
    /// The modules imported with `*`, and whether they are re-exported with `pub`.
    pub(crate) globs: Vec<(Names, bool)>,
}

/// A path in the code of a module.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) module: Names,
    pub(crate) path: Names,
    /// True if the path is compiled only for tests.
    pub(crate) in_test: bool,
    /// True if the path is a `use` that re-exports the name.
    pub(crate) is_reexport: bool,
}

/// The target of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Module(Names),
    /// An item: the file that defines it, its name, and whether it is known to be a type.
    Item(String, String, Option<bool>),
}

/// The content of one file.
#[derive(Debug, Clone)]
struct Facts {
    references: Vec<Reference>,
    /// The modules in separate files that are declared only for tests.
    tests: Vec<Names>,
}

/// The source of a crate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    files: BTreeMap<String, Facts>,
    modules: BTreeMap<Names, Module>,
}

impl Source {
    /// Reads this crate.
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut source = Self::default();
        source.read_directory(&root, &root);
        source
    }

    fn read_directory(&mut self, root: &Path, directory: &Path) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.read_directory(root, &path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                self.put(&name.replace('\\', "/"), &fs::read_to_string(&path).unwrap());
            }
        }
    }

    /// Adds a file, or replaces the file with this name below `src`.
    pub(crate) fn put(&mut self, file: &str, text: &str) {
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut reader = Reader {
            file: file.to_owned(),
            module: module_of(file),
            in_test: false,
            is_shown: true,
            modules: BTreeMap::new(),
            facts: Facts {
                references: Vec::new(),
                tests: Vec::new(),
            },
        };
        reader.enter();
        for item in &parsed.items {
            reader.visit_item(item);
        }
        self.modules.retain(|_, module| module.file != file);
        self.modules.extend(reader.modules);
        self.files.insert(file.to_owned(), reader.facts);
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub(crate) fn module(&self, path: &[String]) -> Option<&Module> {
        self.modules.get(path)
    }

    /// Returns every reference with the file that contains it.
    pub(crate) fn references(&self) -> Vec<(&str, Reference)> {
        let tests: Vec<_> = self.files.values().flat_map(|facts| &facts.tests).collect();
        let references = self.files.iter().flat_map(|(file, facts)| {
            let references = facts.references.iter();
            references.map(|reference| (file.as_str(), reference.clone()))
        });
        references
            .map(|(file, mut reference)| {
                reference.in_test |= tests.iter().any(|test| reference.module.starts_with(test));
                (file, reference)
            })
            .collect()
    }

    /// Returns the target of a path in a module, or `None` if it is outside the crate.
    pub(crate) fn resolve(&self, module: &[String], path: &[String]) -> Option<Target> {
        self.follow(module, path, 0)
    }

    fn follow(&self, module: &[String], path: &[String], depth: usize) -> Option<Target> {
        if depth > 16 {
            return None;
        }
        let (first, mut rest) = path.split_first()?;
        let mut target = match first.as_str() {
            "crate" => Target::Module(Vec::new()),
            "self" => Target::Module(module.to_vec()),
            "super" => Target::Module(parent(module)),
            name => self.name(module, name, !rest.is_empty(), depth)?,
        };
        while let (Target::Module(at), Some((name, after))) = (&target, rest.split_first()) {
            target = if name == "super" {
                Target::Module(parent(at))
            } else {
                self.name(at, name, !after.is_empty(), depth).unwrap_or_else(|| {
                    // Defined by a macro.
                    let file = self
                        .module(at)
                        .map_or_else(String::new, |module| module.file.clone());
                    Target::Item(file, name.clone(), None)
                })
            };
            rest = after;
        }
        Some(target)
    }

    /// Returns the meaning of a name in a module. A name can have several meanings: if the path
    /// continues, a module takes precedence.
    fn name(&self, at: &[String], name: &str, is_followed: bool, depth: usize) -> Option<Target> {
        let module = self.module(at)?;
        let entries = module.names.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut found: Vec<_> = entries
            .iter()
            .filter_map(|entry| match &entry.meaning {
                Meaning::Type => Some(Target::Item(module.file.clone(), name.to_owned(), Some(true))),
                Meaning::Item => Some(Target::Item(module.file.clone(), name.to_owned(), Some(false))),
                Meaning::Module => Some(Target::Module([at, &[name.to_owned()]].concat())),
                Meaning::Import(path) => self.follow_import(at, path, name, depth),
            })
            .collect();
        found.sort_by_key(|target| matches!(target, Target::Module(_)) != is_followed);
        found.into_iter().next().or_else(|| {
            module.globs.iter().find_map(|(path, _)| {
                let Target::Module(other) = self.follow(at, path, depth + 1)? else {
                    return None;
                };
                self.name(&other, name, is_followed, depth + 1)
                    .filter(|_| other != at)
            })
        })
    }

    /// Resolves an import. One that begins with its own name refers to a crate:
    /// `use http::Method; use http;`.
    fn follow_import(&self, at: &[String], path: &[String], name: &str, depth: usize) -> Option<Target> {
        let is_own = path.first().is_some_and(|first| first == name);
        if is_own && path.len() == 1 {
            return None;
        }
        self.follow(at, path, depth + 1)
    }
}

/// Returns the module of a file, given its name below `src`.
fn module_of(file: &str) -> Names {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    match path {
        "lib" => Vec::new(),
        path => path.split('/').map(str::to_owned).collect(),
    }
}

fn parent(module: &[String]) -> Names {
    module[..module.len().saturating_sub(1)].to_vec()
}

struct Reader {
    file: String,
    module: Names,
    in_test: bool,
    /// True if the contents are documented without `_internals`.
    is_shown: bool,
    modules: BTreeMap<Names, Module>,
    facts: Facts,
}

impl Reader {
    fn enter(&mut self) {
        let module = Module {
            file: self.file.clone(),
            names: BTreeMap::new(),
            globs: Vec::new(),
        };
        self.modules.entry(self.module.clone()).or_insert(module);
    }

    fn module(&mut self) -> &mut Module {
        self.modules.get_mut(&self.module).expect("entered")
    }

    fn define(
        &mut self,
        name: impl ToString,
        meaning: Meaning,
        visibility: &Visibility,
        attributes: &[Attribute],
    ) {
        let is_public = self.is_shown && is_public(visibility) && !is_hidden(attributes);
        let entry = Entry { meaning, is_public };
        self.module()
            .names
            .entry(name.to_string())
            .or_default()
            .push(entry);
    }

    fn refer(&mut self, path: Names, is_reexport: bool) {
        self.facts.references.push(Reference {
            module: self.module.clone(),
            path,
            in_test: self.in_test,
            is_reexport,
        });
    }

    fn import(&mut self, item: &ItemUse, tree: &UseTree, mut prefix: Names) {
        let is_reexport = !matches!(item.vis, Visibility::Inherited);
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import(item, &path.tree, prefix);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(item, tree, prefix.clone());
                }
            }
            UseTree::Glob(_) => {
                let is_public = self.is_shown && is_public(&item.vis) && !is_hidden(&item.attrs);
                self.module().globs.push((prefix.clone(), is_public));
                self.refer(prefix, is_reexport);
            }
            UseTree::Name(name) if name.ident == "self" => {
                let last = prefix.last().expect("`self` follows a path").clone();
                self.define(last, Meaning::Import(prefix.clone()), &item.vis, &item.attrs);
                self.refer(prefix, is_reexport);
            }
            UseTree::Name(name) => {
                prefix.push(name.ident.to_string());
                self.define(
                    &name.ident,
                    Meaning::Import(prefix.clone()),
                    &item.vis,
                    &item.attrs,
                );
                self.refer(prefix, is_reexport);
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    prefix.push(rename.ident.to_string());
                }
                self.define(
                    &rename.rename,
                    Meaning::Import(prefix.clone()),
                    &item.vis,
                    &item.attrs,
                );
                self.refer(prefix, is_reexport);
            }
        }
    }

    /// Records the paths in the tokens of a macro, which the parser does not interpret.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let mut path = Names::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => colons += 1,
                TokenTree::Ident(ident) if path.is_empty() || colons == 2 => {
                    path.push(ident.to_string());
                    colons = 0;
                }
                other => {
                    self.refer(std::mem::take(&mut path), false);
                    colons = 0;
                    match other {
                        TokenTree::Ident(ident) => path.push(ident.to_string()),
                        TokenTree::Group(group) => self.read_tokens(group.stream()),
                        _ => {}
                    }
                }
            }
        }
        self.refer(path, false);
    }

    fn define_item(&mut self, item: &Item) {
        match item {
            Item::Struct(it) => self.define(&it.ident, Meaning::Type, &it.vis, &it.attrs),
            Item::Enum(it) => self.define(&it.ident, Meaning::Type, &it.vis, &it.attrs),
            Item::Union(it) => self.define(&it.ident, Meaning::Type, &it.vis, &it.attrs),
            Item::Trait(it) => self.define(&it.ident, Meaning::Type, &it.vis, &it.attrs),
            Item::Type(it) => self.define(&it.ident, Meaning::Item, &it.vis, &it.attrs),
            Item::Fn(it) => self.define(&it.sig.ident, Meaning::Item, &it.vis, &it.attrs),
            Item::Const(it) => self.define(&it.ident, Meaning::Item, &it.vis, &it.attrs),
            Item::Static(it) => self.define(&it.ident, Meaning::Item, &it.vis, &it.attrs),
            _ => {}
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let was_in_test = self.in_test;
        self.in_test |= is_for_tests(attributes_of(item));
        self.define_item(item);
        visit::visit_item(self, item);
        self.in_test = was_in_test;
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.define(&item.ident, Meaning::Module, &item.vis, &item.attrs);
        self.module.push(item.ident.to_string());
        if let Some((_, items)) = &item.content {
            let was_shown = self.is_shown;
            self.is_shown &= !is_hidden(&item.attrs);
            self.enter();
            for item in items {
                self.visit_item(item);
            }
            self.is_shown = was_shown;
        } else if self.in_test {
            self.facts.tests.push(self.module.clone());
        }
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            self.import(item, &item.tree, Names::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter().map(|segment| segment.ident.to_string());
            self.refer(names.collect(), false);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, found: &'ast Macro) {
        self.visit_path(&found.path);
        self.read_tokens(found.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Returns whether an item is undocumented, or available only with `_internals`.
fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = tokens_of(attribute);
        attribute.path().is_ident("doc") && text == "hidden"
            || attribute.path().is_ident("cfg") && text == "feature = \"_internals\""
    })
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = tokens_of(attribute);
        attribute.path().is_ident("cfg") && (text == "test" || text.starts_with("all (test ,"))
            || attribute.path().is_ident("test")
    })
}

fn tokens_of(attribute: &Attribute) -> String {
    match &attribute.meta {
        syn::Meta::List(list) => list.tokens.to_string(),
        _ => String::new(),
    }
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
