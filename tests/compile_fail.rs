//! What must not compile does not.

#[test]
fn secrets_are_not_copied_printed_compared_or_serialised() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
