//! Every embedding of a token, in every encoding, is masked; all other text passes unchanged.

mod filtered;
mod forms;
mod large_pieces;
mod oracles;

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Filter, Masks, Redactor};
use crate::secret::AccessToken;

const TOKEN: &str = "ya29.a0AfH6SMC_x-1/2+Kq~zz=";

fn masks(token: &str) -> Masks {
    Masks::new([&AccessToken::new(token)]).unwrap()
}

fn in_pieces(masks: Masks, text: &str, sizes: &[usize]) -> String {
    in_shared_pieces(&Arc::new(masks), text, sizes)
}

fn in_shared_pieces(masks: &Arc<Masks>, text: &str, sizes: &[usize]) -> String {
    let mut redactor = Redactor::searching(Arc::clone(masks));
    let (mut clean, mut rest) = (String::new(), text);
    for &size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let mut at = size.min(rest.len());
        while !rest.is_char_boundary(at) {
            at += 1;
        }
        let (piece, left) = rest.split_at(at);
        clean.push_str(&redactor.push(piece));
        rest = left;
    }
    clean + &redactor.finish()
}

fn percent(text: &str, choices: &[u8]) -> String {
    let choices = choices.iter().cycle();
    text.bytes()
        .zip(choices)
        .map(|(byte, choice)| match choice % 3 {
            0 if byte != b'%' => char::from(byte).to_string(),
            1 => format!("%{byte:02x}"),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn json(text: &str, choices: &[u8]) -> String {
    let choices = choices.iter().cycle();
    text.bytes()
        .zip(choices)
        .map(|(byte, choice)| match (choice % 3, byte) {
            (_, b'"' | b'\\') | (1, b'/') => format!("\\{}", char::from(byte)),
            (2, _) => format!("\\u{byte:04x}"),
            _ => char::from(byte).to_string(),
        })
        .collect()
}

fn hexadecimal(text: &str, upper: bool) -> String {
    let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    if upper { digits.to_uppercase() } else { digits }
}

fn wrapped(text: &str, width: usize, by: &str) -> String {
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(width)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    lines.join(by)
}

/// Returns the token in one of the encodings.
fn encoded(token: &str, encoding: u8, choices: &[u8]) -> String {
    match encoding {
        0 => token.to_owned(),
        1 => percent(token, choices),
        2 => json(token, choices),
        3 => percent(&percent(token, choices), &[1, 0, 2]),
        4 => hexadecimal(token, false),
        5 => hexadecimal(token, true),
        6 => json(&percent(token, choices), choices),
        _ => unreachable!(),
    }
}

#[test]
fn each_encoding_is_masked_and_what_is_around_it_stays() {
    for text in [
        TOKEN.to_owned(),
        percent(TOKEN, &[1]),
        percent(TOKEN, &[2]),
        percent(TOKEN, &[0, 1, 0, 2]),
        percent(&percent(TOKEN, &[1]), &[0, 1]),
        json(TOKEN, &[1]),
        json(TOKEN, &[2]),
        json(TOKEN, &[0, 2]),
        hexadecimal(TOKEN, false),
        hexadecimal(TOKEN, true),
        wrapped(TOKEN, 7, "\n"),
        wrapped(TOKEN, 3, "\r\n    "),
        wrapped(&percent(TOKEN, &[1]), 4, "\r\n"),
        wrapped(&hexadecimal(TOKEN, true), 16, " "),
        json(&wrapped(TOKEN, 7, "\n"), &[0]).replace('\n', "\\n"),
    ] {
        let text = format!("before: {text} {{after}}");
        assert_eq!(masks(TOKEN).redact(&text), "before: [redacted] {after}", "{text}");
        for size in 1..8 {
            assert_eq!(
                in_pieces(masks(TOKEN), &text, &[size]),
                "before: [redacted] {after}",
                "{text}"
            );
        }
    }
}

#[test]
fn header_forms_are_masked() {
    for (text, clean) in [
        (
            format!("Authorization: Bearer {TOKEN}\r\nX: y"),
            "Authorization: Bearer [redacted]\r\nX: y",
        ),
        (
            format!("{{\"authorization\":\"Bearer {TOKEN}\"}}"),
            "{\"authorization\":\"Bearer [redacted]\"}",
        ),
    ] {
        assert_eq!(masks(TOKEN).redact(&text), clean);
    }
    for user in ["x", "me", "you", "x-access-token"] {
        let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{TOKEN}")));
        assert!(masks(TOKEN).redact(&basic).contains("[redacted]"), "{user}");
    }
}

#[test]
fn two_tokens_side_by_side_are_two_masks() {
    let (one, other) = (
        AccessToken::new("first-token-1"),
        AccessToken::new("token-1-second"),
    );
    let masks = Masks::new([&one, &other]).unwrap();
    assert_eq!(
        masks.redact("first-token-1token-1-second"),
        "[redacted][redacted]"
    );
    assert_eq!(masks.redact("first-token-1-second!"), "[redacted]!");
    assert!(Masks::new([]).is_none());
    assert!(Masks::new([&AccessToken::new("")]).is_none());
}

#[test]
fn a_token_with_escapes_in_it_is_found_as_it_is() {
    for token in ["a%41b%2fcd%", r"x\u0041y\nz\", "41414141%", r"nu0041\\"] {
        for prefix in ["", "%", "%4", "\\", "\\u00", "é"] {
            let text = format!("{prefix}{token} 100%");
            let clean = masks(token).redact(&text).into_owned();
            assert_eq!(clean, format!("{prefix}[redacted] 100%"), "{text}");
            assert_eq!(in_pieces(masks(token), &text, &[1]), clean);
        }
    }
}

#[test]
fn clean_text_passes_a_stream_almost_at_once() {
    let mut redactor = Redactor::searching(Arc::new(masks(TOKEN)));
    let mut passed = 0;
    let mut read = 0;
    for _ in 0..50 {
        let piece = "The quick brown fox jumps over the lazy dog, 100 % of the time. ";
        read += piece.len();
        passed += redactor.push(piece).len();
        assert!(read - passed < 8, "{} bytes are held", read - passed);
    }
    let mut redactor = Redactor::searching(Arc::new(masks("aaaaaaaaaaaaaaaab")));
    let given: usize = (0..1_000).map(|_| redactor.push("aaaa").len()).sum();
    assert!(given > 3_900, "{given} of 4000 bytes were given");
}

/// The token characters of RFC 6750.
fn tokens() -> impl Strategy<Value = String> {
    "[A-Za-z0-9._~+/-]{12,78}={0,2}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_embedding_is_masked(
        token in tokens(),
        encoding in 0..7_u8,
        choices in vec(any::<u8>(), 1..20),
        (width, by) in (1..40_usize, select(vec!["", "\n", "\r\n", "  ", "\n\t "])),
        (before, after) in ("[ -$&-\\[\\]-~é]{0,30}", "[ -~é]{0,30}"),
        sizes in vec(1..50_usize, 1..5),
    ) {
        let hidden = wrapped(&encoded(&token, encoding, &choices), width, by);
        let text = format!("{before}{hidden}{after}");
        let masks = masks(&token);
        let clean = masks.redact(&text).into_owned();
        prop_assert!(!masks.find(text.as_bytes()).is_empty());
        let filter = Filter::new([&AccessToken::new(&*token)]).unwrap();
        prop_assert!(filter.suspects(text.as_bytes()), "{text}");
        prop_assert!(clean.contains("[redacted]"), "{text}");
        prop_assert!(masks.find(clean.as_bytes()).is_empty(), "{text} became {clean}");
        prop_assert!(!clean.contains(&hidden));
        prop_assert_eq!(in_pieces(masks, &text, &sizes), clean);
    }

    #[test]
    fn base64_of_anything_around_it_is_masked(
        token in tokens(), before in vec(any::<u8>(), 0..20), after in vec(any::<u8>(), 0..20), url in any::<bool>(),
        width in 1..80_usize,
    ) {
        let bytes = [&before, token.as_bytes(), &after].concat();
        let text = if url { URL_SAFE_NO_PAD.encode(bytes) } else { STANDARD.encode(bytes) };
        let text = wrapped(&text, width, "\r\n");
        let filter = Filter::new([&AccessToken::new(&*token)]).unwrap();
        prop_assert!(filter.suspects(text.as_bytes()), "{}", text);
        let clean = masks(&token).redact(&text).into_owned();
        prop_assert!(clean.contains("[redacted]"), "{}", text);
        // At most one character on either side contains bits of both the token and its neighbor.
        let left: usize = clean.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
        let most = before.len() * 4 / 3 + after.len() * 4 / 3 + "[redacted]".len() + 8;
        prop_assert!(left <= most, "{clean}");
    }

    #[test]
    fn clean_text_is_returned_as_it_is(token in tokens(), text in ".{0,200}", sizes in vec(1..50_usize, 1..5)) {
        let masks = masks(&token);
        prop_assert!(matches!(masks.redact(&text), Cow::Borrowed(same) if same == text));
        prop_assert_eq!(in_pieces(masks, &text, &sizes), text);
    }

    #[test]
    fn any_bytes_pass_in_any_pieces(
        token in "[a-c]{2,5}", text in vec(select(&b"abc%\\u06123 \n\xc3\xa9"[..]), 0..60), size in 1..7_usize,
    ) {
        let masks = masks(&token);
        let whole = masks.redact_bytes(&text).into_owned();
        let mut redactor = Redactor::searching(Arc::new(masks));
        let mut pieces = Vec::new();
        for piece in text.chunks(size) {
            pieces.extend(redactor.push_bytes(piece));
        }
        pieces.extend(redactor.finish_bytes());
        prop_assert_eq!(pieces, whole);
    }
}

#[test]
fn a_match_within_a_match_does_not_shorten_it() {
    let (outer, inner) = (AccessToken::new("abcdefghijkl"), AccessToken::new("cdefgh"));
    let masks = Masks::new([&outer, &inner]).unwrap();
    assert_eq!(masks.redact("<abcdefghijkl>"), "<[redacted]>");
    let (outer, inner) = (
        AccessToken::new("PqWvT9dZx8vMn7nB4cT6yUwE5dR0aK9h"),
        AccessToken::new("T9dZx8vMn7nB4cT6yU"),
    );
    let masks = Masks::new([&outer, &inner]).unwrap();
    assert_eq!(masks.redact("<PqWvT9dZx8vMn7nB4cT6yUwE5dR0aK9h>"), "<[redacted]>");
}

#[test]
fn both_alphabets_of_base64_are_one() {
    // Their base64 contains characters 62 and 63.
    for token in ["~~~???o>>>", "?>?>?>~~~>?>?PqWvT9dZx8vMn7nB4cT6yUwE5dR0aK9h>>>"] {
        for before in ["", "x", "xy"] {
            let bytes = format!("{before}{token}");
            let standard = STANDARD.encode(&bytes);
            assert!(standard.contains(['+', '/']), "{standard}");
            for text in [standard, URL_SAFE_NO_PAD.encode(&bytes)] {
                let clean = masks(token).redact(&text).into_owned();
                assert!(
                    clean.contains("[redacted]") && clean.len() < 20,
                    "{text}: {clean}"
                );
            }
        }
    }
}

#[test]
fn tokens_that_begin_alike_are_told_apart() {
    let header = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2FzLnRlc3QiLCJzdWIi";
    let (ours, other) = (
        format!("{header}OiJhZGEifQ.PqWvT9dZx8vMn7nB4cT6"),
        format!("{header}OiJvdGhlciJ9.yUwE5dR0aK9hJ3gF2sD"),
    );
    let masks = masks(&ours);
    assert_eq!(masks.redact(&other), other);
    assert_eq!(masks.redact(header), header);
    assert_eq!(
        masks.redact(&format!("{other} {ours}")),
        format!("{other} [redacted]")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Long tokens are compared by their letters. Such a search also gives the same result for one
    /// piece and for several.
    #[test]
    fn any_bytes_around_a_long_token_pass_in_any_pieces(
        parts in vec(select(&[
            "abcdefgh", "ijklmnop", "qr=", "%", "%25", "=", "=\r\n", "\\", "\\u00", "6a", "&", "&#", "&amp;", ";", "x",
            "\n", "12 ", "\n00000010  ", "|", "\u{1b}", "[3", "1m", "\u{a0}", " ", "é",
        ][..]), 0..40),
        size in 1..9_usize,
    ) {
        let masks = masks("abcdefghijklmnopqr=");
        let text = parts.concat();
        let whole = masks.redact_bytes(text.as_bytes()).into_owned();
        let mut redactor = Redactor::searching(Arc::new(masks));
        let mut pieces = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            pieces.extend(redactor.push_bytes(piece));
        }
        pieces.extend(redactor.finish_bytes());
        prop_assert_eq!(String::from_utf8_lossy(&pieces), String::from_utf8_lossy(&whole));
    }
}

#[test]
fn a_stream_holds_a_bounded_part_of_text_that_never_ends_a_token() {
    let long = "PqWvT9dZx8vMn7nB4cT6yUwE5dR0aK9h";
    for junk in [
        "Pq",
        "----",
        "\u{4e2d}\u{6587}",
        "\n   \n",
        "&&&",
        "=3",
        "%",
        "Pq-\u{1b}[",
        "\n00000000  |",
    ] {
        let mut redactor = Redactor::searching(Arc::new(masks(long)));
        let (mut read, mut given) = (1, redactor.push("P").len());
        for _ in 0..2_000 {
            read += junk.len() * 4;
            given += redactor.push(&junk.repeat(4)).len();
            assert!(read - given < 2_048, "{junk:?}: {} bytes are held", read - given);
        }
        given += redactor.finish().len();
        assert_eq!(read, given, "{junk:?}");
    }
}

#[test]
fn the_filter_suspects_texts_with_tokens_and_hardly_any_other() {
    for token in forms::TOKENS {
        let (masks, filter) = (masks(token), Filter::new([&AccessToken::new(token)]).unwrap());
        for (name, form) in forms::forms(token) {
            // The result does not depend on the alignment of the pieces.
            for before in 0..9 {
                let text = format!("{}\n{form}", "x".repeat(before));
                assert!(filter.suspects(text.as_bytes()), "{name}: {text:?}");
            }
        }
        assert!(!masks.find(token.as_bytes()).is_empty());
        let clean =
            include_str!("../search.rs").repeat(2) + include_str!("forms.rs").split("TOKENS").next().unwrap();
        assert!(!filter.suspects(clean.as_bytes()));
    }
}

#[test]
fn the_filter_suspects_a_token_at_any_place_of_a_long_text() {
    let token = forms::TOKENS[0];
    let (masks, filter) = (masks(token), Filter::new([&AccessToken::new(token)]).unwrap());
    let escaped = token.replace('/', "&#x2F;").replace('=', "=3D");
    for filler in [" ", "a", "a=&"] {
        for at in 4_020..4_110 {
            let before: String = filler.chars().cycle().take(at).collect();
            for token in [token, &escaped] {
                let text = format!("{before}\n{token}\n{}", &before[..90]);
                assert!(filter.suspects(text.as_bytes()), "{filler:?} {at}");
                assert!(!masks.find(&text.as_bytes()[at - 90..]).is_empty());
            }
        }
    }
}
