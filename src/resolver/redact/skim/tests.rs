use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Parts of escapes, of line numbers and of dumps; letters, blanks, and the end of escapes.
const PARTS: [&str; 40] = [
    "%",
    "%4",
    "41",
    "%25",
    "%0a",
    "\\",
    "n",
    "\\n",
    "\\\\n",
    "\\u00",
    "41",
    "\\x0a",
    "\\u{",
    "}",
    "&",
    "&am",
    "p;",
    "&#1",
    "0;",
    "=",
    "=3",
    "D",
    "=\r\n",
    "<",
    "<br",
    "/>",
    "\u{1b}[31m",
    "\u{1b}]8;;",
    "\n",
    "\n12: ",
    "\n00000010: ",
    "\n0000010 ",
    "|",
    " ",
    "\"",
    ",",
    "(",
    "fade",
    "a,b",
    "word word word word",
];

/// Returns the beginnings for a token that is in no text of these tests.
fn skim() -> Skim {
    Skim::new([&AccessToken::new("QqQqQqQqQqQqQqQqQqQqQqQqQqQqQqQq")]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// A search that begins at the place reads the rest as one that has read the whole text.
    #[test]
    fn nothing_is_held_at_the_place_and_a_beginning_cannot_reach_across(parts in vec(select(&PARTS[..]), 0..80)) {
        let text = parts.concat();
        let Some(place) = skim().cleared(text.as_bytes(), &mut Buffers::new(text.len())) else {
            return Ok(());
        };
        let mut view = View::new(Reading::UnescapedLetters);
        let mut after = 0;
        for (at, byte) in text.bytes().enumerate() {
            prop_assert!(at != place || view.is_idle(), "{} in {:?}", place, text);
            view.read(byte, at, &mut |unit| {
                after += usize::from(at >= place && unit.byte.is_ascii_alphanumeric());
            });
        }
        prop_assert!(after >= SHORTEST_LETTERS, "{} in {:?}", place, text);
    }
}

#[test]
fn usual_texts_have_a_place_near_their_end() {
    for text in [
        "The quick brown fox jumps over the lazy dog, and nothing of it is a token.\n".repeat(9),
        "if value == 0 { return map[\"key\"] & 0xff; } // 100 % of it\n".repeat(9),
        r#"{"id":"18c2f0e1","snippet":"Line one\nline two, 100% of it"},"#.repeat(9),
        "JVBERi0xLjcKJeLjz9MKMSAwIG9iago8PC9UeXBlL0NhdGFsb2cvUGFnZXMgMiAwIFIbPgplbmRvYmoK\n".repeat(9),
        "0123456789abcdef".repeat(50),
    ] {
        let place = skim().cleared(text.as_bytes(), &mut Buffers::new(text.len()));
        assert!(
            place.is_some_and(|place| text.len() - place < 200),
            "{text:?}: {place:?}"
        );
    }
}
