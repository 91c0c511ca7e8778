//! The way in is short: the programs that a newcomer reads have few lines.

use std::fs;
use std::path::Path;

/// Counts the lines of a program without its imports, comments and blank lines.
fn lines(program: &Path) -> usize {
    let source = fs::read_to_string(program).unwrap();
    let file = syn::parse_file(&source).unwrap();
    let imports: usize = file
        .items
        .iter()
        .filter(|item| matches!(item, syn::Item::Use(_)))
        .map(|item| {
            let span = syn::spanned::Spanned::span(item);
            span.end().line - span.start().line + 1
        })
        .sum();
    let all = source
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count();
    all - imports
}

#[test]
fn a_host_program_has_at_most_40_lines_and_the_first_one_20() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut hosts = 0;
    for entry in fs::read_dir(examples.join("hosts")).unwrap() {
        let program = entry.unwrap().path();
        let lines = lines(&program);
        assert!(lines <= 40, "{}: {lines} lines", program.display());
        hosts += 1;
    }
    assert_eq!(hosts, 5);
    let hello = lines(&examples.join("hello.rs"));
    assert!(hello <= 20, "hello.rs: {hello} lines");
}
