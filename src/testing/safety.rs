//! Proof, in a host's own tests, that what it shows, stores and logs is clean.

use crate::resolver::Turn;

/// Panics if a token of the turn is in one of the artefacts (prompts, transcripts, tool results,
/// log lines), in any of the encodings that [`Turn::redact`] finds.
///
/// Each artefact has a name, which is all that the message says of it, with the place: an assertion
/// that printed the token would be the leak itself.
///
/// ```
/// # use valetkey::testing::{ManualClock, Sandbox, assert_no_secrets};
/// # use valetkey::vault::SealedVault;
/// # use valetkey::{ActingUser, Connections, Resolver};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = Sandbox::new(ManualClock::default());
/// # let connections = Connections::builder(SealedVault::in_memory()).http_client(sandbox.clone()).build()?;
/// # let turn = Resolver::new(connections).turn(ActingUser::authenticated("acme", "alice")?);
/// # let (prompt, log) = (String::new(), Vec::new());
/// // … a turn of your agent …
/// assert_no_secrets(&turn, [("prompt", prompt.as_bytes()), ("log", &log)]);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// If there is a token in an artefact.
pub fn assert_no_secrets<'a, N, A>(turn: &Turn, artefacts: impl IntoIterator<Item = (N, &'a A)>)
where
    N: AsRef<str>,
    A: AsRef<[u8]> + ?Sized + 'a,
{
    let leaks: Vec<String> = artefacts
        .into_iter()
        .filter_map(|(name, artefact)| {
            let places = turn.secrets_in(artefact.as_ref());
            let first = places.first()?;
            Some(format!(
                "{} at byte {} ({} in all)",
                name.as_ref(),
                first.start,
                places.len()
            ))
        })
        .collect();
    assert!(
        leaks.is_empty(),
        "a token of the turn is in: {}",
        leaks.join(", ")
    );
}
