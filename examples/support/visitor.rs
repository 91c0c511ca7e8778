//! A user with a browser, who follows an agent's link and allows everything.

use std::error::Error;

use super::browser::Browser;

/// Asks the agent for a turn, opens the link in its answer, allows everything at the provider, and
/// asks again. Prints what the user sees.
#[allow(clippy::print_stdout, reason = "an example talks to its reader")]
pub fn connect_and_ask_again(turn_url: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    let failed = |error: Box<dyn Error>| error.to_string();
    let mut browser = Browser::new();
    let link = browser.open(turn_url).map_err(failed)?.html;
    println!("the agent has no access yet and gives a link");
    let page = browser.open(&link).map_err(failed)?;
    let scopes = page.values("scope");
    let mut form = vec![("account", "ada"), ("decision", "allow")];
    form.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
    let connected = browser.submit(&page, &form).map_err(failed)?;
    println!(
        "Ada opened it, allowed everything, and came back to {}",
        connected.url.path()
    );
    let answer = browser.open(turn_url).map_err(failed)?.html;
    println!("the agent answers {answer}");
    if answer.contains("Note G") {
        Ok(())
    } else {
        Err("the agent reads Ada's notes".into())
    }
}
