//! Getting started is short: the programs that a newcomer reads have few lines.

use std::fs;
use std::path::Path;

/// Counts the lines of a program without imports, comments and blank lines.
fn lines(program: &Path) -> usize {
    let source = fs::read_to_string(program).unwrap();
    let mut count = 0;
    let mut in_import = false;
    for line in source.lines().map(str::trim) {
        in_import |= line.starts_with("use ");
        if !in_import && !line.is_empty() && !line.starts_with("//") {
            count += 1;
        }
        in_import &= !line.ends_with(';');
    }
    count
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
