//! Compares the table of promises with the tests that it names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A test of a promise: the file and the name of the function.
type Test = (String, String);

/// Returns the Rust files below a directory of the crate, with their contents.
fn sources(directory: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut open = vec![root.join(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Returns the number in the name of a promise's test.
fn number(test: &str) -> Option<u32> {
    let (number, _) = test.strip_prefix("promise_")?.split_once('_')?;
    number.parse().ok()
}

/// Returns every promise test in the sources, including those inside macros.
fn written() -> BTreeSet<Test> {
    let mut tests = BTreeSet::new();
    for (file, text) in sources("tests").into_iter().chain(sources("src")) {
        for line in text.lines() {
            let Some(declared) = line.trim_start().strip_prefix("fn ") else {
                continue;
            };
            let name = declared.split('(').next().unwrap();
            if number(name).is_some() {
                tests.insert((file.clone(), name.to_owned()));
            }
        }
    }
    tests
}

/// Returns the rows of the table: the number, and each test with its file.
fn rows() -> Vec<(u32, BTreeSet<Test>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ASSURANCE.md");
    let text = fs::read_to_string(path).unwrap();
    let mut rows = Vec::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(number) = cells.get(1).and_then(|cell| cell.parse().ok()) else {
            continue;
        };
        let [_, _, promise, tests, reached, _] = cells[..] else {
            panic!("row {number} has {} cells", cells.len());
        };
        assert!(!promise.is_empty() && !reached.is_empty(), "row {number}");
        let mut named = BTreeSet::new();
        for of_file in tests.split("<br>") {
            let (file, names) = of_file.split_once(": ").unwrap();
            for name in names.split(", ") {
                named.insert((file.trim_matches('`').into(), name.trim_matches('`').into()));
            }
        }
        rows.push((number, named));
    }
    rows
}

#[test]
fn the_table_and_the_sources_have_the_same_promises_and_tests() {
    let written = written();
    assert!(written.len() > 100, "{} tests were found", written.len());
    let mut named = BTreeSet::new();
    for (of_row, tests) in rows() {
        for test in tests {
            assert_eq!(number(&test.1), Some(of_row), "{test:?} is in row {of_row}");
            assert!(named.insert(test.clone()), "{test:?} is named twice");
        }
    }
    let unnamed: Vec<_> = written.difference(&named).collect();
    assert!(unnamed.is_empty(), "not in the table: {unnamed:#?}");
    let missing: Vec<_> = named.difference(&written).collect();
    assert!(missing.is_empty(), "in the table and nowhere else: {missing:#?}");
}

#[test]
fn each_promise_has_one_row_in_order() {
    let numbers: Vec<u32> = rows().into_iter().map(|(number, _)| number).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}

/// Returns whether a path of the crate exists; a `*` in its last part matches anything.
fn exists(path: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let name = path.file_name().unwrap().to_str().unwrap();
    let Some((begin, end)) = name.split_once('*') else {
        return path.exists();
    };
    let mut entries = fs::read_dir(path.parent().unwrap()).unwrap();
    entries.any(|entry| {
        let name = entry.unwrap().file_name();
        let name = name.to_str().unwrap();
        name.starts_with(begin) && name.ends_with(end)
    })
}

/// Returns the paths of this crate that a page names in backticks.
fn paths(page: &str) -> Vec<&str> {
    let spans = page.split('`').skip(1).step_by(2);
    let roots = [
        "tests/",
        "src/",
        "examples/",
        "benches/",
        "heap/",
        "fuzz/",
        "docs/",
    ];
    spans
        .filter(|span| roots.iter().any(|root| span.starts_with(root)))
        .filter(|span| !span.contains(char::is_whitespace))
        .collect()
}

#[test]
fn every_path_that_a_page_names_exists() {
    let mut tried = 0;
    for page in crate::documents::pages() {
        let text = fs::read_to_string(&page).unwrap();
        for path in paths(&text) {
            assert!(exists(path), "{} names {path}", page.display());
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried} paths were found");
}
