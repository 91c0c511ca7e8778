//! Collects the printed forms of the library's values, to search them for secrets.

use std::cell::Cell;
use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use valetkey::testing::Sandbox;

thread_local! {
    /// True if the next panic is provoked to read its message.
    static MADE: Cell<bool> = const { Cell::new(false) };
}

/// Suppresses the report of panics that a test provokes to read them.
pub(crate) fn keep_quiet_about_made_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !MADE.get() {
            report(panic);
        }
    }));
}

/// Unwraps a result, as a host's test or a careless host does.
fn unwrapped<E: Debug>(outcome: Result<(), E>) {
    outcome.unwrap();
}

/// The printed text.
#[derive(Default)]
pub(crate) struct Transcript(pub String);

impl Transcript {
    pub(crate) fn debug(&mut self, value: &dyn Debug) {
        writeln!(self.0, "{value:?}\n{value:#?}").unwrap();
    }

    pub(crate) fn text(&mut self, text: &str) {
        writeln!(self.0, "{text}").unwrap();
    }

    /// Prints the error with all its causes, and the panic it produces.
    pub(crate) fn error<E: Error + 'static>(&mut self, error: E) {
        let mut next: Option<&dyn Error> = Some(&error);
        while let Some(error) = next {
            writeln!(self.0, "{error}\n{error:?}\n{error:#?}").unwrap();
            next = error.source();
        }
        MADE.set(true);
        let panic = catch_unwind(AssertUnwindSafe(|| unwrapped::<E>(Err(error)))).unwrap_err();
        MADE.set(false);
        let words = panic.downcast_ref::<String>().expect("`unwrap` says why");
        self.text(words);
    }

    pub(crate) fn outcome<T: Debug>(&mut self, outcome: Result<T, valetkey::Error>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.debug(&value);
                Some(value)
            }
            Err(error) => {
                self.error(error);
                None
            }
        }
    }

    /// Fails if the text contains a secret or the word `marker`.
    pub(crate) fn assert_clean(&self, secrets: &[String]) {
        assert!(secrets.len() > 3, "only {} secrets were in play", secrets.len());
        assert!(self.0.len() > 1_000, "nothing was printed");
        for secret in secrets {
            // The message does not contain the secret, which would leak it.
            let place = self.0.find(secret.as_str());
            assert!(
                place.is_none(),
                "a secret of {} bytes was printed at {place:?}",
                secret.len()
            );
        }
        let place = self.0.find("marker");
        assert!(
            place.is_none(),
            "a server's words were printed: {:?}",
            place.map(|at| self.0[..at].lines().next_back())
        );
    }
}

/// Returns every secret of the test: the sandbox's, and the crate's that it saw.
pub(crate) fn secrets(sandbox: &Sandbox) -> Vec<String> {
    let mut all = sandbox.issued_secrets();
    for logged in sandbox.log() {
        all.extend(logged.parameter("code_verifier").map(str::to_owned));
        all.extend(logged.query("state").map(str::to_owned));
    }
    all.retain(|secret| secret.len() > 8);
    all
}
