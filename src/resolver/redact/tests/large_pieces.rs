//! Skimming large pieces gives the same text as searching them.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::forms::{TOKENS, forms};
use super::{Masks, Redactor, masks};
use crate::resolver::redact::Secrets;
use crate::secret::AccessToken;

fn secrets(tokens: &[&str]) -> Arc<Secrets> {
    let tokens: Vec<_> = tokens
        .iter()
        .map(|token| Arc::new(AccessToken::new(*token)))
        .collect();
    Arc::new(Secrets::new(&tokens))
}

/// Returns the output of a redactor for text in pieces of these sizes.
fn passed(mut redactor: Redactor, text: &[u8], sizes: &[usize]) -> Vec<u8> {
    let (mut clean, mut rest) = (Vec::new(), text);
    for &size in sizes.iter().cycle() {
        let (piece, left) = rest.split_at(size.min(rest.len()));
        clean.extend(redactor.push_bytes(piece));
        rest = left;
        if rest.is_empty() {
            break;
        }
    }
    clean.extend(redactor.finish_bytes());
    clean
}

/// Checks both ways of reading the same pieces.
fn compare(secrets: &Arc<Secrets>, masks: &Arc<Masks>, text: &[u8], sizes: &[usize], large: usize) {
    let searched = passed(Redactor::searching(Arc::clone(masks)), text, sizes);
    let redactor = Redactor::new(Some(Arc::clone(secrets))).skimming_from(large);
    let skimmed = passed(redactor, text, sizes);
    assert_eq!(
        String::from_utf8_lossy(&skimmed),
        String::from_utf8_lossy(&searched),
        "pieces of {sizes:?}, skimmed from {large}, of {:?}",
        String::from_utf8_lossy(text)
    );
}

/// Texts that are returned by tools and contain no token.
fn clean_texts() -> [(&'static str, String); 6] {
    let fill = |line: &str| line.repeat(100_000 / line.len());
    [
        (
            "prose",
            fill("The quick brown fox jumps over the lazy dog, and nothing of it is a token.\n"),
        ),
        (
            "JSON",
            fill(
                r#"{"id":"18c2f0e1","snippet":"Line one\nline two, 100% of it","labels":["INBOX","UNREAD"]},"#,
            ),
        ),
        (
            "base64",
            fill("JVBERi0xLjcKJeLjz9MKMSAwIG9iago8PC9UeXBlL0NhdGFsb2cvUGFnZXMgMiAwIFI+PgplbmRvYmoK\n"),
        ),
        ("hexadecimal", fill("c0ffee9d1b7a3e5f42")),
        ("source code", include_str!("../search.rs").repeat(9)),
        (
            "HTML",
            fill("<p class=\"a\">x &amp; y, <b>that</b> is 100&nbsp;% of 2&#x41;</p>\r\n"),
        ),
    ]
}

#[test]
fn large_pieces_without_a_token_are_not_searched() {
    for (name, text) in clean_texts() {
        for size in [1_024, 4_096, 16_384, 99_999] {
            let secrets = secrets(&TOKENS);
            let redactor = Redactor::new(Some(Arc::clone(&secrets)));
            assert!(
                passed(redactor, text.as_bytes(), &[size]) == text.as_bytes(),
                "{name}"
            );
            // If the last piece is not large, it is searched.
            let is_whole = text.len() % size == 0 || text.len() % size >= 1_024;
            assert!(!secrets.has_masks() || !is_whole, "{name} in pieces of {size}");
        }
    }
}

#[test]
fn little_is_held_of_a_large_piece() {
    for (name, text) in clean_texts() {
        let mut redactor = Redactor::new(Some(secrets(&TOKENS)));
        let (mut read, mut given) = (0, 0);
        for piece in text.as_bytes().chunks_exact(4_096) {
            read += piece.len();
            given += redactor.push_bytes(piece).len();
            assert!(read - given <= 512, "{name}: {} bytes are held", read - given);
        }
    }
}

#[test]
fn each_form_is_masked_wherever_large_pieces_are_cut() {
    for token in TOKENS {
        let (secrets, masks) = (secrets(&[token]), Arc::new(masks(token)));
        for (name, form) in forms(token) {
            for (at, before, cut) in [
                (1_900, "a word, ", 1_030),
                (1_950, "x = 1;\n", 2_048),
                (2_040, "\\n\\u0041b, ", 2_100),
            ] {
                let before: String = before.chars().cycle().take(at).collect();
                let text = format!("{before}\n{form}\n{before}");
                let clean = passed(Redactor::new(Some(Arc::clone(&secrets))), text.as_bytes(), &[cut]);
                assert!(masks.find(&clean).is_empty(), "{name} at {at}, cut at {cut}");
                compare(&secrets, &masks, text.as_bytes(), &[cut], 1_024);
            }
        }
    }
}

#[test]
fn a_token_does_not_keep_later_pieces_from_being_skimmed() {
    let (secrets, masks) = (secrets(&[TOKENS[0]]), Arc::new(masks(TOKENS[0])));
    let [(_, prose), ..] = clean_texts();
    let text = format!("{}{}{}", &prose[..20_000], TOKENS[0], &prose[..60_000]);
    for sizes in [&[100_000_usize][..], &[5_000], &[1_024, 7], &[3, 4_000, 900]] {
        compare(&secrets, &masks, text.as_bytes(), sizes, 1_024);
    }
}

/// Parts of escapes, of line numbers and of dumps; letters, blanks, and the end of escapes.
const PARTS: [&str; 44] = [
    "%",
    "%41",
    "%2541",
    "%0a",
    "\\",
    "\\n",
    "\\\\n",
    "\\u0041",
    "\\x0a",
    "&",
    "&amp;",
    "&#10;",
    "&lt",
    "=",
    "=3D",
    "=\r\n",
    "<",
    "<br",
    "<wbr>",
    "/>",
    "\u{1b}[31m",
    "\u{1b}]8;;",
    "\n",
    "\n12: ",
    "\n00000010: ",
    "\n0000010 ",
    "|",
    "  ",
    " ",
    "\0",
    "\"",
    ",",
    "(",
    ")",
    ":",
    "word",
    "fade",
    "0123456789",
    "a,b",
    "é",
    "x-y",
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    "ya29.a0AfH6SMC",
    "-1/2+Kq~zz9dPq",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_in_any_pieces_is_the_same_skimmed_and_searched(
        parts in vec(select(&PARTS[..]), 0..150),
        (form, token) in (0..forms(TOKENS[0]).len(), select(&TOKENS[..3])),
        (places, sizes) in (vec(any::<prop::sample::Index>(), 0..3), vec(1..400_usize, 1..4)),
        large in 64..200_usize,
    ) {
        let mut parts: Vec<_> = parts.iter().map(|part| (*part).to_owned()).collect();
        for place in places {
            let form = &forms(token)[form].1;
            parts.insert(place.index(parts.len() + 1), form.clone());
        }
        compare(&secrets(&[token]), &Arc::new(masks(token)), parts.concat().as_bytes(), &sizes, large);
    }
}
