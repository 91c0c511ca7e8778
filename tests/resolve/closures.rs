//! Closures implement the interfaces with one method.

use std::sync::{Arc, Mutex};

use http::request::Parts;
use valetkey::gateway::{Caller, Gateway, Mount, Refused};
use valetkey::model::{Event, EventKind, EventSink};
use valetkey::testing::{EventLog, Host};
use valetkey::{ActingUser, Clock, Timestamp};

#[test]
fn a_closure_is_the_clock_of_the_connections() {
    let time = Arc::new(Mutex::new(Timestamp::from_unix_millis(1_000)));
    let shown = Arc::clone(&time);
    let host = Host::builder()
        .connections(move |_, builder| builder.clock(move || *shown.lock().unwrap()))
        .build()
        .unwrap();
    *time.lock().unwrap() = Timestamp::from_unix_millis(2_000);
    let connection = host.connect(&host.user("ada"), "notes");
    assert_eq!(connection.created_at, Timestamp::from_unix_millis(2_000));

    let shared: Arc<dyn Clock> = Arc::new(|| Timestamp::from_unix_millis(7));
    assert_eq!(shared.now(), Timestamp::from_unix_millis(7));
}

#[test]
fn a_closure_and_a_shared_sink_receive_events() {
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&kinds);
    let log = EventLog::default();
    let shared: Arc<dyn EventSink> = Arc::new(log.clone());
    let host = Host::builder()
        .events(move |event: &Event| kept.lock().unwrap().push(event.kind))
        .events(shared)
        .build()
        .unwrap();
    host.connect(&host.user("ada"), "notes");
    let expected = [EventKind::ConsentStarted, EventKind::ConsentCompleted];
    assert_eq!(*kinds.lock().unwrap(), expected);
    assert_eq!(log.kinds(), expected);
}

#[test]
fn a_closure_says_who_calls_the_gateway() {
    let host = Host::new();
    let authenticator = |head: &Parts| {
        let name = head.headers.get("x-user").and_then(|name| name.to_str().ok());
        let name = name.ok_or(Refused::Unauthenticated)?;
        let person = ActingUser::authenticated(Host::TENANT, name).map_err(|_| Refused::Forbidden)?;
        Ok(Caller::user(person).explicit_credentials())
    };
    let mount = Mount::new("https://app.test").unwrap();
    let gateway = Gateway::new(host.connections, mount, authenticator);
    let status = |name: Option<&str>| {
        let mut request = http::Request::get("/v1/connections");
        if let Some(name) = name {
            request = request.header("x-user", name);
        }
        gateway
            .handle(request.body(Vec::new()).unwrap())
            .status()
            .as_u16()
    };
    assert_eq!(status(Some("ada")), 200);
    assert_eq!(status(None), 401);
}
