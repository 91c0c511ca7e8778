//! Handwritten examples of the forms in which programs write a token: each is masked, in one piece
//! and in several.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{in_shared_pieces, masks};

/// Tokens with typical punctuation, from each kind of issuer.
pub(super) const TOKENS: [&str; 6] = [
    "ya29.a0AfH6SMC_x-1/2+Kq~zz9dPqWvT7-Qm_4uXb=",
    "EwBwA8l6BAAU+/kj3Q==2r9Ls1/Zx+8vPqM7nB4cT6yUwE5dR0aK9hJ3gF2sD==",
    "12|Qm4uXb7PqWvT9dZx8vMn7nB4cT6yUwE5dR0aK9hJ3gF2sD",
    "xoxp-2345678901-3456789012-abcdef0123456789abcdef0123456789",
    "-lead_ing.PqWvT9dZx8vMn7nB4cT6yUwE5dR0aK9hJ3gF2sD_tail-",
    "gho_16C7e42F292c6912E7710c838347Ae178B4a",
];

fn each(token: &str, write: impl Fn(&mut String, char)) -> String {
    let mut text = String::new();
    for character in token.chars() {
        write(&mut text, character);
    }
    text
}

fn of_bytes(token: &str, between: &str, write: impl Fn(u8) -> String) -> String {
    token.bytes().map(write).collect::<Vec<_>>().join(between)
}

/// Keeps letters and digits, and encodes every other character with this function.
fn punctuation(token: &str, write: impl Fn(u8) -> String) -> String {
    each(token, |text, character| {
        if character.is_ascii_alphanumeric() {
            text.push(character);
        } else {
            text.push_str(&write(u8::try_from(character).unwrap()));
        }
    })
}

/// Inserts this text between pieces of the token of this width.
fn broken(token: &str, width: usize, by: &str) -> String {
    let characters: Vec<char> = token.chars().collect();
    let pieces: Vec<String> = characters
        .chunks(width)
        .map(|piece| piece.iter().collect())
        .collect();
    pieces.join(by)
}

fn numbered(token: &str, width: usize, number: impl Fn(usize) -> String) -> String {
    let mut text = String::from("\n");
    for (line, piece) in broken(token, width, "\n").lines().enumerate() {
        writeln!(text, "{}{piece}", number(line + 1)).unwrap();
    }
    text
}

/// Splits the token into lines, which the caller joins by soft breaks.
fn quoted_printable(token: &str) -> String {
    broken(token, 20, "\n").replace('=', "=3D")
}

fn html_name(byte: u8) -> String {
    match byte {
        b'+' => "&plus;".into(),
        b'/' => "&sol;".into(),
        b'=' => "&equals;".into(),
        b'.' => "&period;".into(),
        b'_' => "&lowbar;".into(),
        b'-' => "&hyphen;".into(),
        b'|' => "&vert;".into(),
        _ => format!("&#{byte};"),
    }
}

fn dump(token: &str) -> String {
    let mut text = String::from("\n");
    for (line, bytes) in token.as_bytes().chunks(16).enumerate() {
        let hexadecimal: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let (left, right) = hexadecimal.split_at(hexadecimal.len().min(8));
        let shown = String::from_utf8_lossy(bytes);
        let (left, right) = (left.join(" "), right.join(" "));
        writeln!(text, "{:08x}  {left}  {right:<23}  |{shown}|", line * 16).unwrap();
    }
    text
}

fn xxd(token: &str) -> String {
    let mut text = String::from("\n");
    for (line, bytes) in token.as_bytes().chunks(16).enumerate() {
        let pairs: Vec<String> = bytes
            .chunks(2)
            .map(|pair| pair.iter().map(|byte| format!("{byte:02x}")).collect())
            .collect();
        let shown = String::from_utf8_lossy(bytes);
        writeln!(text, "{:08x}: {:<39}  {shown}", line * 16, pairs.join(" ")).unwrap();
    }
    text
}

/// Returns all forms with their names.
pub(super) fn forms(token: &str) -> Vec<(&'static str, String)> {
    let utf16 = |little: bool| {
        let bytes = token
            .bytes()
            .map(|byte| if little { [byte, 0] } else { [0, byte] });
        String::from_utf8(bytes.flatten().collect()).unwrap()
    };
    let mut forms = vec![
        ("quoted-printable", quoted_printable(token).replace('\n', "=\r\n")),
        (
            "quoted-printable, all punctuation",
            punctuation(token, |byte| format!("={byte:02X}")),
        ),
        (
            "quoted-printable in JSON",
            quoted_printable(token).replace('\n', r"=\r\n"),
        ),
        ("HTML, decimal", punctuation(token, |byte| format!("&#{byte};"))),
        (
            "HTML, hexadecimal",
            punctuation(token, |byte| format!("&#x{byte:X};")),
        ),
        (
            "HTML, all characters",
            of_bytes(token, "", |byte| format!("&#x{byte:02x};")),
        ),
        ("HTML, named", punctuation(token, html_name)),
        ("HTML twice", punctuation(token, |byte| format!("&amp;#{byte};"))),
        (
            "HTML of HTML names",
            punctuation(token, |byte| html_name(byte).replace('&', "&amp;")),
        ),
        ("HTML with breaks", broken(token, 9, "&shy;")),
        (r"\xHH", of_bytes(token, "", |byte| format!(r"\x{byte:02x}"))),
        (
            r"\xHH of punctuation",
            punctuation(token, |byte| format!(r"\x{byte:02X}")),
        ),
        (r"\u{..}", punctuation(token, |byte| format!(r"\u{{{byte:x}}}"))),
        (
            r"\u{..} of all",
            of_bytes(token, "", |byte| format!(r"\u{{{byte:04x}}}")),
        ),
        (r"\UHHHHHHHH", punctuation(token, |byte| format!(r"\U{byte:08x}"))),
        (
            r"\uHHHH in JSON in JSON",
            punctuation(token, |byte| format!(r"\\u{byte:04x}")),
        ),
        ("octal", of_bytes(token, "", |byte| format!(r"\{byte:03o}"))),
        (
            "octal of punctuation",
            punctuation(token, |byte| format!(r"\{byte:03o}")),
        ),
        (
            "backslashes",
            punctuation(token, |byte| format!("\\{}", char::from(byte))),
        ),
        ("%uHHHH", punctuation(token, |byte| format!("%u{byte:04X}"))),
        ("tags", broken(token, 9, "<wbr>")),
        ("tags that mark", broken(token, 9, "</em><em>")),
        ("colour", broken(token, 7, "\u{1b}[01;31m\u{1b}[K")),
        ("colour in JSON", broken(token, 7, r"\u001b[0m")),
        (
            "link of a terminal",
            broken(token, 9, "\u{1b}]8;;https://x.test\u{1b}\\"),
        ),
        ("quoted mail", broken(token, 11, "\r\n> ")),
        ("quoted mail in JSON", broken(token, 11, r"\n> ")),
        ("comment", broken(token, 11, "\n# ")),
        ("comment of a block", broken(token, 11, "\n * ")),
        ("comment of code", broken(token, 11, "\n    // ")),
        ("continued line", broken(token, 13, "\\\n")),
        ("continued line, indented", broken(token, 13, " \\\n    ")),
        ("strings in a row", broken(token, 13, "\" \"")),
        ("strings added", broken(token, 13, "\" +\n        \"")),
        ("single quotes", broken(token, 13, "'\"'\"'")),
        ("cat -n", numbered(token, 17, |line| format!("{line:6}\t"))),
        ("grep -n", numbered(token, 17, |line| format!("{line}:"))),
        (
            "numbers with bars",
            numbered(token, 17, |line| format!("{line:4} | ")),
        ),
        ("upper case", token.to_uppercase()),
        ("lower case", token.to_lowercase()),
        ("mixed hexadecimal", hexadecimal_in_both_cases(token)),
        (
            "hexadecimal with colons",
            of_bytes(token, ":", |byte| format!("{byte:02X}")),
        ),
        (
            "hexadecimal with blanks",
            of_bytes(token, " ", |byte| format!("{byte:02x}")),
        ),
        (
            "hexadecimal with hyphens",
            of_bytes(token, "-", |byte| format!("{byte:02X}")),
        ),
        (
            "hexadecimal literals",
            of_bytes(token, ", ", |byte| format!("0x{byte:02x}")),
        ),
        (
            "hexadecimal literals in lines",
            broken(&of_bytes(token, ", ", |byte| format!("0x{byte:02X}")), 72, "\n  "),
        ),
        ("decimal list", of_bytes(token, ", ", |byte| byte.to_string())),
        (
            "decimal list in lines",
            of_bytes(token, ",\n    ", |byte| byte.to_string()),
        ),
        ("hexdump -C", dump(token)),
        ("xxd", xxd(token)),
        ("UTF-16LE", utf16(true)),
        ("UTF-16BE", utf16(false)),
        ("no first character", token[1..].to_owned()),
        ("no last character", token[..token.len() - 1].to_owned()),
        ("no last four characters", token[..token.len() - 4].to_owned()),
        ("the last 24 characters", token[token.len() - 24..].to_owned()),
    ];
    let blanks = [
        ("vertical tab", "\u{b}"),
        ("form feed", "\u{c}"),
        ("NUL", "\0"),
        ("no-break space", "\u{a0}"),
        ("soft hyphen", "\u{ad}"),
        ("zero-width space", "\u{200b}"),
        ("zero-width joiner", "\u{200d}"),
        ("word joiner", "\u{2060}"),
        ("line separator", "\u{2028}"),
        ("paragraph separator", "\u{2029}"),
        ("byte order mark", "\u{feff}"),
        ("next line", "\u{85}"),
        ("ideographic space", "\u{3000}"),
    ];
    forms.extend(blanks.map(|(name, blank)| (name, broken(token, 5, blank))));
    forms
}

fn hexadecimal_in_both_cases(token: &str) -> String {
    let digit = |(place, byte): (usize, u8)| {
        if place % 2 == 0 {
            format!("{byte:02x}")
        } else {
            format!("{byte:02X}")
        }
    };
    token.bytes().enumerate().map(digit).collect()
}

/// Returns the longest run of letters and digits of the token that remains in the text.
fn longest_left(token: &str, text: &str) -> usize {
    let letters = |text: &str| -> Vec<u8> {
        let letters = text.bytes().filter(u8::is_ascii_alphanumeric);
        letters.map(|byte| byte.to_ascii_lowercase()).collect()
    };
    let (token, text) = (letters(token), letters(text));
    (1..=token.len())
        .rev()
        .find(|&length| {
            token
                .windows(length)
                .any(|part| text.windows(length).any(|window| window == part))
        })
        .unwrap_or_default()
}

#[test]
fn each_form_is_masked_whole_and_in_pieces() {
    for token in TOKENS {
        let masks = Arc::new(masks(token));
        for (name, form) in forms(token) {
            let text = format!("[[: {form}\n}}]");
            let clean = masks.redact(&text).into_owned();
            assert!(clean.contains("[redacted]"), "{name}: {text:?}");
            assert!(
                clean.starts_with("[[: ") && clean.ends_with("}]"),
                "{name}: {clean:?}"
            );
            // What remains is the right margin of a dump, or the beginning of a token cut off
            // there.
            let fragment = ["no first character", "the last 24 characters"].contains(&name);
            let dump = ["hexdump -C", "xxd"].contains(&name);
            if !fragment && !dump {
                assert!(
                    longest_left(token, &clean) < 8,
                    "{name}: {text:?} became {clean:?}"
                );
            }
            for size in [1, 2, 3, 7, 64] {
                assert_eq!(
                    in_shared_pieces(&masks, &text, &[size]),
                    clean,
                    "{name}, {size}: {text:?}"
                );
            }
        }
    }
}

#[test]
fn each_form_is_masked_however_it_is_cut_in_two() {
    let token = TOKENS[0];
    let masks = Arc::new(masks(token));
    for (name, form) in forms(token) {
        let text = format!("a {form} b");
        let clean = masks.redact(&text).into_owned();
        for at in 0..text.len() {
            assert_eq!(
                in_shared_pieces(&masks, &text, &[at.max(1), text.len()]),
                clean,
                "{name} at {at}"
            );
        }
    }
}
