//! Checks in a host's tests that its output, storage and logs contain no token.

use crate::resolver::Turn;

/// Panics if one of the artifacts (prompts, transcripts, tool results, log lines) contains a token
/// of the turn, in any of the encodings that [`Turn::redact`] finds.
///
/// The message names only the artifact and the position: printing the token would be a leak.
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
/// If an artifact contains a token.
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
