//! An event sink that keeps events for the test.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{Event, EventKind, EventSink};

/// An [`EventSink`] that keeps every event in order. Clones share the events.
///
/// ```
/// use valetkey::model::EventKind;
/// use valetkey::testing::Host;
///
/// let host = Host::new();
/// host.connect(&host.user("ada"), "notes");
/// assert_eq!(
///     host.events.kinds(),
///     [EventKind::ConsentStarted, EventKind::ConsentCompleted],
/// );
/// ```
#[derive(Debug, Clone, Default)]
pub struct EventLog(Arc<Mutex<Vec<Event>>>);

impl EventLog {
    /// Returns all events so far, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// Returns the kinds of all events so far, oldest first.
    #[must_use]
    pub fn kinds(&self) -> Vec<EventKind> {
        self.lock().iter().map(|event| event.kind).collect()
    }

    /// Removes all events.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for EventLog {
    fn emit(&self, event: &Event) {
        self.lock().push(event.clone());
    }
}
