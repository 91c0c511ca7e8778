//! The documents name files that exist, and stay short where they promise to.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every file below a directory whose name has this ending.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().is_some_and(|path| path.ends_with(ending)) {
            found.push(path);
        }
    }
    found
}

/// Returns the documents of the crate.
pub(crate) fn pages() -> Vec<PathBuf> {
    let mut pages = files(&root().join("docs"), ".md");
    pages.extend(["README.md", "SECURITY.md", "CONTRIBUTING.md"].map(|page| root().join(page)));
    pages
}

/// Returns the targets of the links of a document that are files of this crate.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split_once('#').map_or(target, |(file, _)| file))
        .filter(|target| !target.is_empty() && !target.contains("::") && !target.contains(':'))
}

#[test]
fn every_link_leads_to_a_file() {
    let mut tried = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            let target = page.parent().unwrap().join(link);
            assert!(target.exists(), "{} links to {link}", page.display());
            tried += 1;
        }
    }
    assert!(tried > 40, "{tried} links were found");
}

#[test]
fn the_map_of_the_source_names_files_that_exist() {
    let sources = files(&root().join("src"), ".rs");
    // A file is the end of a path; a directory, which is written with a slash, is a part of one.
    let is_there = |name: &str| {
        let part = format!("/{name}");
        let has = |path: &PathBuf| {
            let path = path.to_str().unwrap();
            path.ends_with(&part) || (name.ends_with('/') && path.contains(&part))
        };
        sources.iter().any(has) || root().join(name).exists()
    };
    let mut tried = 0;
    for page in ["docs/ARCHITECTURE.md", "docs/DESIGN.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for name in text.split('`').skip(1).step_by(2) {
            if (name.ends_with(".rs") || name.ends_with('/')) && !name.contains(char::is_whitespace) {
                assert!(is_there(name), "{page} names {name}");
                tried += 1;
            }
        }
    }
    assert!(tried > 40, "{tried} files were found");
}

#[test]
fn the_readme_has_at_most_1200_words() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let words = text.split_whitespace().count();
    assert!(words <= 1_200, "{words} words");
}

#[test]
fn every_guide_is_a_page_of_the_documentation() {
    let source = fs::read_to_string(root().join("src/guide.rs")).unwrap();
    let index = fs::read_to_string(root().join("docs/guide/README.md")).unwrap();
    for guide in files(&root().join("docs/guide"), ".md") {
        let name = guide.file_stem().unwrap().to_str().unwrap();
        if name != "README" {
            assert!(
                source.contains(&format!("guide/{name}.md\")")),
                "{name} is not in src/guide.rs"
            );
            assert!(
                index.contains(&format!("({name}.md)")),
                "{name} is not in the index"
            );
        }
    }
}

#[test]
fn the_guide_to_upgrading_names_the_newest_schema() {
    let source = fs::read_to_string(root().join("src/vault/sqlite/schema/mod.rs")).unwrap();
    let (_, newest) = source.split_once("const NEWEST: u32 = ").unwrap();
    let (newest, _) = newest.split_once(';').unwrap();
    let guide = fs::read_to_string(root().join("docs/guide/upgrading.md")).unwrap();
    let version = env!("CARGO_PKG_VERSION").trim_end_matches(".0");
    let row = format!("| {version} | {newest} |");
    assert!(guide.contains(&row), "no row {row}");
}
