//! Tokens encoded by common programs, if they are installed: their output is masked.

use std::process::Command;
use std::sync::Arc;

use super::forms::TOKENS;
use super::{in_shared_pieces, masks};

/// Encodes its argument in several forms, one JSON string for each line of output.
const PYTHON: &str = r#"
import base64, binascii, html, json, quopri, shlex, string, sys, textwrap, urllib.parse
token = sys.argv[1]
raw = token.encode()
mail = "Content: " + token + ", and so on, until the line is long enough to be broken by a soft break. " + token
forms = [
    quopri.encodestring(mail.encode()).decode(),
    quopri.encodestring(raw, quotetabs=True).decode(),
    json.dumps(quopri.encodestring(mail.encode()).decode()),
    html.escape(token),
    html.escape(html.escape(token)),
    "".join("&#%d;" % ord(c) if not c.isalnum() else c for c in token),
    json.dumps({"token": token}),
    json.dumps(json.dumps({"token": token})),
    repr(token), repr(raw), ascii(token),
    shlex.quote(token),
    urllib.parse.quote(token, safe=""), urllib.parse.quote_plus(urllib.parse.quote_plus(token)),
    urllib.parse.urlencode({"access_token": token}),
    base64.b64encode(raw).decode(), base64.encodebytes(b"user:" + raw).decode(), base64.urlsafe_b64encode(raw).decode(),
    binascii.hexlify(raw).decode(), binascii.hexlify(raw, ":").decode(), raw.hex(" ", 2),
    str(list(raw)), json.dumps({"data": list(raw)}), ", ".join(hex(b) for b in raw),
    "".join("\\x%02x" % b for b in raw), "".join("\\%03o" % b for b in raw), "".join("\\u%04x" % b for b in raw),
    "".join(c if c.isalnum() else "\\" + c for c in token),
    token.encode("utf-16-le").decode("latin-1"), token.encode("utf-16").decode("latin-1"),
    token.encode("utf-32-be").decode("latin-1"),
    "\n".join(textwrap.wrap(token, 19, break_on_hyphens=False)),
    "\n".join("> " + line for line in textwrap.wrap(token, 19)),
    "\n" + "\n".join("%4d  %s" % (n, line) for n, line in enumerate(textwrap.wrap(token, 19), 1)),
    " \\\n".join(textwrap.wrap(token, 19)),
    token.upper(), token.swapcase(), token.title(),
]
for form in forms:
    print(json.dumps(form))
"#;

/// Returns the output of a shell command for the token on its input.
const SHELL: [&str; 21] = [
    "base64",
    "base64 -w 20",
    "xxd",
    "xxd -p",
    "xxd -i",
    "hexdump -C",
    "od -A n -t x1",
    "od -t x1",
    "od -A n -t u1",
    "od -A x -t x1",
    "cat -n",
    "fold -w 11",
    "fold -w 11 | nl",
    "fold -w 11 | sed 's/^/> /'",
    "fold -w 11 | grep --color=always -n .",
    "sed -n l",
    "sed -n 'l 20'",
    "cat -A",
    "od -c",
    "od -A n -c",
    "perl -MMIME::QuotedPrint -0777 -ne 'print encode_qp($_)'",
];

/// Returns the output of the command; `None` if it is not installed.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

fn is_masked(token: &str, form: &str, name: &str) {
    let masks = Arc::new(masks(token));
    let text = format!("\n{form}\n");
    let clean = masks.redact(&text).into_owned();
    assert!(clean.contains("[redacted]"), "{name}: {text:?}");
    assert_eq!(in_shared_pieces(&masks, &text, &[5]), clean, "{name}: {text:?}");
}

#[test]
fn what_python_writes_is_masked() {
    for token in TOKENS {
        let Some(forms) = output(Command::new("python3").args(["-c", PYTHON, token])) else {
            return;
        };
        for (number, line) in forms.lines().enumerate() {
            let form: String = serde_json::from_str(line).unwrap();
            is_masked(token, &form, &format!("form {number}"));
        }
    }
}

#[test]
fn what_programs_of_the_shell_write_is_masked() {
    for token in TOKENS {
        for program in SHELL {
            let script = format!(
                "command -v {} >/dev/null && printf %s \"$1\" | {program}",
                program.split(' ').next().unwrap()
            );
            if let Some(form) = output(Command::new("sh").args(["-c", &script, "sh", token])) {
                is_masked(token, &form, program);
            }
        }
        for quoting in [
            "printf %q \"$1\"",
            "echo \"${1@Q}\"",
            "echo \"${1@E}\"",
            "set -x; : \"$1\"",
        ] {
            if let Some(form) =
                output(Command::new("bash").args(["-c", &format!("{{ {quoting}; }} 2>&1"), "sh", token]))
            {
                is_masked(token, &form, quoting);
            }
        }
    }
}
