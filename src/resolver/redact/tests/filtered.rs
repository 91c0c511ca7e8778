//! The filter suspects every text in which the search finds a token.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::forms::{TOKENS, forms};
use super::{Filter, masks};
use crate::resolver::redact::Secrets;
use crate::secret::AccessToken;

/// Blanks and parts of escapes and margins, which may stand before a character of a token.
const BETWEEN: [&str; 32] = [
    " ",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\"",
    ", ",
    "-",
    "=",
    "= ",
    "=\r\n",
    "%",
    "% ",
    "&",
    "& ",
    "&&",
    "&amp;",
    "&nbsp;",
    "&#10;",
    "<",
    "< ",
    "<b>",
    "</em >",
    "\\",
    "\\n",
    "\\\\n",
    "\\\"",
    "%0a",
    "\u{1b}[31m",
    "\n12: ",
    "\n00000010: ",
    "\n} // a ",
];

/// Texts that are around a token.
const AROUND: [&str; 16] = [
    "a word ",
    "x = 1;\n",
    "\n    if a == b { return; }\n",
    "\\n\\u0041b, ",
    "&lt;b&gt;",
    "100 % of it",
    "%%%",
    "\\\\",
    "&abc&abc",
    "=====",
    "<<",
    "\n\n\n",
    "\n  12",
    "0123456789abcdef",
    "é",
    "\u{1b}[0m",
];

/// Writes a character of a token in one of the ways that a search undoes.
fn written(character: char, way: u8) -> String {
    let code = u32::from(character);
    match way {
        0 => format!("%{code:02x}"),
        1 => format!("%25{code:02X}"),
        2 => format!("\\u{code:04x}"),
        3 => format!("\\\\x{code:02x}"),
        4 => format!("&#{code};"),
        5 => format!("&amp;#x{code:x};"),
        6 => format!("\\u{{{code:x}}}"),
        7 if character.is_ascii_punctuation() => format!("={code:02X}"),
        _ => character.to_string(),
    }
}

/// Returns the text up to this length from the end, with this in place of what is missing.
fn of_length(text: &str, length: usize) -> String {
    let from = (text.len().saturating_sub(length)..=text.len()).find(|at| text.is_char_boundary(*at));
    let kept = &text[from.unwrap_or(text.len())..];
    "z ".repeat(length.saturating_sub(kept.len()) / 2) + kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// Most tokens are mixed with other characters, and cross the edge of a part or of a block.
    #[test]
    fn every_token_that_a_search_finds_is_suspected(
        token in select(&TOKENS[..]),
        form in proptest::option::of(0..forms(TOKENS[0]).len()),
        (ways, between) in (vec(0..40_u8, 64), vec(0..8 * BETWEEN.len(), 64)),
        (before, after) in (vec(select(&AROUND[..]), 0..20), vec(select(&AROUND[..]), 0..20)),
        (block, edge) in (0..3_usize, -200..90_isize),
    ) {
        let hidden = match form {
            Some(form) => forms(token)[form].1.clone(),
            None => token.chars().zip(ways.iter().zip(&between))
                .map(|(character, (way, between))| format!("{}{}", BETWEEN.get(*between).unwrap_or(&""), written(character, *way)))
                .collect(),
        };
        let before = of_length(&before.concat(), (block * 4_096).saturating_add_signed(edge));
        let text = format!("{before}{hidden}{}", after.concat());
        let secrets = Secrets::new(&[Arc::new(AccessToken::new(token))]);
        let twice = format!("{text}{text}{hidden}");
        let in_parts = secrets.masks().unwrap().find(twice.as_bytes());
        prop_assert_eq!(in_parts, masks(token).find(twice.as_bytes()), "{:?}", twice);
        let filter = Filter::new([&AccessToken::new(token)]).unwrap();
        prop_assert!(
            filter.suspects(text.as_bytes()) || masks(token).find(text.as_bytes()).is_empty(),
            "{}: {:?} after {}", token, hidden, before.len()
        );
    }
}

#[test]
fn a_place_that_may_still_be_changed_is_read_once_at_the_edge_of_a_block() {
    let token = TOKENS[2];
    let hidden = concat!(
        r"12|Qm4uXb7P%2571%2557%2576T9dZx8vMn%2537%256EB4cT6yUw\nE",
        r"\\x35dR<0=%61\%4b %39\%68 %4a %33 %67 %2546 %32 %73 %2544"
    );
    let filter = Filter::new([&AccessToken::new(token)]).unwrap();
    for before in 4_000..4_110 {
        let text = "z ".repeat(before / 2) + &"z"[..before % 2] + hidden;
        assert!(!masks(token).find(text.as_bytes()).is_empty());
        assert!(filter.suspects(text.as_bytes()), "after {before}");
    }
}
