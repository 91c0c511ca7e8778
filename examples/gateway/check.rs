//! Walks through the demonstration without a user. Fails unless every step succeeds.

use std::error::Error;

use crate::support::browser::{Browser, Page};

pub fn walk(origin: &str) -> Result<(), Box<dyn Error>> {
    let home = format!("{origin}/");
    let mut ada = sign_in(origin, "ada")?;
    let page = ada.open(&format!("{home}connect"))?;
    ensure(
        page.html.contains("Google Tasks") && page.html.contains("SmartThings"),
        "the services are shown",
    )?;
    let departure = ada.submit(&page, &[("provider", "google-tasks")])?;
    let connection = consent(&mut ada, &departure, "allow")?;
    ensure(
        connection.html.contains("ada@example.test"),
        "Ada's account is connected",
    )?;
    ensure(
        connection.html.contains("Consent given"),
        "what happened is told on its page",
    )?;
    ensure(
        connection.url.query() == Some("done=connected"),
        "the code has left the address bar",
    )?;
    let agent = ada.open(&format!("{origin}/agent"))?;
    ensure(agent.html.contains("Note G"), "the agent reads Ada's tasks")?;
    println!("1. Ada connected her tasks, and the agent reads them");

    let mut grace = sign_in(origin, "grace")?;
    let hers = grace.open(connection.url.as_str())?;
    ensure(hers.status == 404, "Ada's connection does not exist for Grace")?;
    let page = grace.open(&format!("{home}connect"))?;
    let departure = grace.submit(&page, &[("provider", "google-tasks")])?;
    let denied = consent(&mut grace, &departure, "deny")?;
    ensure(
        denied.html.contains("Access was declined"),
        "she is told what became of it",
    )?;
    println!("2. Grace does not see it, and declined when she was asked for her own");

    let mut olga = sign_in(origin, "olga")?;
    let page = olga.open(&home)?;
    ensure(
        page.html.contains(">Ada Lovelace<") && page.html.contains(">Grace Hopper<"),
        "Olga sees both, by name",
    )?;
    let confirm = olga.open(&format!(
        "{}/revoke",
        connection.url.as_str().replace("?done=connected", "")
    ))?;
    ensure(
        confirm.html.contains("At the service."),
        "the effect of a revocation is shown",
    )?;
    let revoked = olga.submit(&confirm, &[])?;
    ensure(
        revoked.html.contains("has confirmed the revocation"),
        "the result is shown",
    )?;
    let agent = ada.open(&format!("{origin}/agent"))?;
    ensure(
        agent.html.contains("Give access"),
        "the agent asks Ada for access again",
    )?;
    println!(
        "3. Olga sees all connections and revoked Ada's; the agent has to ask again. Every step succeeded."
    );
    Ok(())
}

fn sign_in(origin: &str, person: &str) -> Result<Browser, Box<dyn Error>> {
    let mut browser = Browser::new();
    let page = browser.open(&format!("{origin}/sign-in"))?;
    browser.submit(&page, &[("person", person)])?;
    Ok(browser)
}

/// Follows the page that leads to the provider, and grants access there.
fn consent(browser: &mut Browser, departure: &Page, decision: &str) -> Result<Page, Box<dyn Error>> {
    let refresh = departure
        .html
        .split("content=\"0; url=")
        .nth(1)
        .ok_or("the page leads on")?;
    let address = refresh.split('"').next().unwrap_or_default();
    let page = browser.open(&address.replace("&#38;", "&").replace("&amp;", "&"))?;
    let scopes = page.values("scope");
    let mut form = vec![("account", "ada"), ("decision", decision)];
    form.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
    browser.submit(&page, &form)
}

fn ensure(held: bool, step: &str) -> Result<(), Box<dyn Error>> {
    if held {
        Ok(())
    } else {
        Err(format!("this step failed: {step}").into())
    }
}
