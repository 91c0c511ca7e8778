//! A web application on axum: the gateway under `/connections`, and an agent that acts for the
//! signed-in user.
//!
//! `cargo run --example host_web`
#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::future::IntoFuture as _;

use axum::{Router, routing::get};
use http::{Request, request::Parts};
use support::{loopback::Loopback, visitor};
use tokio::{net::TcpListener, task::spawn_blocking};
use valetkey::gateway::{Caller, Gateway, Mount, Refused, tower};
use valetkey::resolver::Turn;
use valetkey::testing::Host;
use valetkey::{ActingUser, Error as ValetkeyError};

/// A real application reads its session from the head of the request. Here every caller is Ada.
fn signed_in(_: &Parts) -> Result<Caller, Refused> {
    let ada = ActingUser::authenticated("acme", "ada").map_err(|_| Refused::Forbidden)?;
    Ok(Caller::user(ada))
}

/// One turn of the agent. It may wait for the provider.
fn answer(turn: &Turn, mount: &Mount) -> Result<String, ValetkeyError> {
    let request = Request::get("/notes").body(Vec::new());
    match turn.send("notes", request.unwrap_or_default()) {
        Err(ValetkeyError::ConsentRequired(need)) => {
            Ok(mount.connect_url(turn.ask(&need)?.prepared().ticket()))
        }
        answer => Ok(String::from_utf8_lossy(answer?.body()).into_owned()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let mount = Mount::dangerous_loopback_http(&origin)?.under("/connections")?;
    let provider = Loopback::bind("127.0.0.1", 0)?;
    let host = Host::builder().at(provider.origin());
    let host = host.redirect_uri(mount.callback_url("sandbox")).build()?;
    provider.serve(move |request| host.sandbox.handle(request));

    let gateway = Gateway::new(host.connections, mount.clone(), signed_in);
    let (resolver, ada) = (host.resolver, ActingUser::authenticated("acme", "ada")?);
    let turn = move || async {
        let work = move || answer(&resolver.turn(ada), &mount).map_err(|error| error.to_string());
        spawn_blocking(work).await.map_err(|error| error.to_string())?
    };
    let app = Router::new()
        .nest_service("/connections", tower::service(gateway, spawn_blocking))
        .route("/turn", get(turn));
    tokio::spawn(axum::serve(listener, app).into_future());
    spawn_blocking(move || visitor::connect_and_ask_again(&format!("{origin}/turn"))).await?
}
