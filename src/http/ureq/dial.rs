//! Resolves names and connects to their addresses, one after the other, alternating between the
//! address families.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Uri;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport, time,
};

use super::failure::Unconnected;
use crate::http::public_address::is_public;

/// The period during which a family of addresses that failed is tried last.
const AVOIDED: Duration = Duration::from_secs(10 * 60);

/// The minimum time for an address, if that much time is left.
const LEAST: Duration = Duration::from_millis(100);

/// Resolves names with the system's resolver.
#[derive(Debug, Default)]
pub(super) struct Names(DefaultResolver);

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        self.0.resolve(uri, config, timeout).map_err(|error| match error {
            ureq::Error::Io(_) | ureq::Error::HostNotFound => Unconnected::Name.into(),
            error => error,
        })
    }
}

/// Resolves names with `R` and refuses those with an address that is not public.
///
/// The client resolves a name once for each request and connects to one of the returned addresses,
/// so a name that resolves to another address the next time cannot pass the check.
#[derive(Debug, Default)]
pub(super) struct PublicNames<R>(pub(super) R);

impl<R: Resolver> Resolver for PublicNames<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.0.resolve(uri, config, timeout)?;
        if addresses.iter().all(|address| is_public(address.ip())) {
            Ok(addresses)
        } else {
            Err(Unconnected::Private.into())
        }
    }
}

/// Opens TCP connections.
#[derive(Debug, Default)]
pub(super) struct Dial {
    tcp: TcpConnector,
    families: Families,
}

impl<In: Transport> Connector<In> for Dial {
    type Out = <TcpConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        // A tunnel through a proxy replaces the connection.
        if chained.is_some() {
            return self.tcp.connect(details, chained);
        }
        let bound = remaining(details).unwrap_or(AVOIDED);
        let dial = |address, share| self.tcp.connect(&to_one(details, address, share), None);
        self.families
            .reach(&details.addrs, bound, Instant::now, dial)
            .map_err(|failure| match failure {
                None | Some(ureq::Error::Timeout(_)) => ureq::Error::Timeout(ureq::Timeout::Connect),
                Some(_) => Unconnected::Address.into(),
            })
    }
}

/// Returns the connection details reduced to this address and time limit.
fn to_one<'a>(
    details: &ConnectionDetails<'a>,
    address: SocketAddr,
    share: Duration,
) -> ConnectionDetails<'a> {
    let mut addrs = details.resolver.empty();
    addrs.push(address);
    ConnectionDetails {
        uri: details.uri,
        addrs,
        config: details.config,
        request_level: details.request_level,
        resolver: details.resolver,
        now: (details.current_time)(),
        timeout: NextTimeout {
            after: share.into(),
            ..details.timeout
        },
        current_time: Arc::clone(&details.current_time),
        run_connector: Arc::clone(&details.run_connector),
        register_shutdown: Arc::clone(&details.register_shutdown),
    }
}

/// Returns the time left for the connection; `None` if it has no limit.
pub(super) fn remaining(details: &ConnectionDetails<'_>) -> Option<Duration> {
    let time::Duration::Exact(bound) = details.timeout.after else {
        return None;
    };
    let elapsed = match (details.now, (details.current_time)()) {
        (time::Instant::Exact(begun), time::Instant::Exact(now)) => now.saturating_duration_since(begun),
        _ => Duration::ZERO,
    };
    Some(bound.saturating_sub(elapsed))
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    const fn of(address: &SocketAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// The times when connections by each family last failed where the other family succeeded.
///
/// A network may drop all packets of one family. Each request has its own connection, so each would
/// wait for the unreachable family again if this were not recorded.
#[derive(Debug, Default)]
struct Families {
    failed: Mutex<[Option<Instant>; 2]>,
}

impl Families {
    /// Connects to the first address that can be reached in time. Each address may take half of the
    /// time that is left, the last one all of it. Returns the last failure if none is reached;
    /// `None` if there was no time for an attempt.
    fn reach<T, E>(
        &self,
        addresses: &[SocketAddr],
        bound: Duration,
        now: impl Fn() -> Instant,
        mut dial: impl FnMut(SocketAddr, Duration) -> Result<T, E>,
    ) -> Result<T, Option<E>> {
        let begun = now();
        let order = self.order(addresses, begun);
        let mut failure = None;
        for (place, &address) in order.iter().enumerate() {
            let left = bound.saturating_sub(now().saturating_duration_since(begun));
            if left.is_zero() {
                return Err(None);
            }
            let last = place + 1 == order.len();
            let share = if last {
                left
            } else {
                (left / 2).max(LEAST).min(left)
            };
            match dial(address, share) {
                Ok(connection) => {
                    self.learn(&order[..place], address, now());
                    return Ok(connection);
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure)
    }

    /// Returns the addresses in the order in which they are tried: alternating between the
    /// families, beginning with the family of the first address. A family that failed recently
    /// comes last.
    fn order(&self, addresses: &[SocketAddr], now: Instant) -> Vec<SocketAddr> {
        let Some(first) = addresses.first().map(Family::of) else {
            return Vec::new();
        };
        let (leading, following): (Vec<_>, Vec<_>) = addresses
            .iter()
            .copied()
            .partition(|address| Family::of(address) == first);
        let second = if first == Family::V4 {
            Family::V6
        } else {
            Family::V4
        };
        match (self.has_failed(first, now), self.has_failed(second, now)) {
            (true, false) => [following, leading].concat(),
            (false, true) => [leading, following].concat(),
            _ => in_turn(&leading, &following),
        }
    }

    fn has_failed(&self, family: Family, now: Instant) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed[family as usize].is_some_and(|at| now.saturating_duration_since(at) < AVOIDED)
    }

    /// Records that one address was reached after others had failed. If all of those are of the
    /// other family, that family is avoided.
    fn learn(&self, failed: &[SocketAddr], reached: SocketAddr, now: Instant) {
        let works = Family::of(&reached);
        let mut known = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        known[works as usize] = None;
        let other = failed.iter().map(Family::of).find(|family| *family != works);
        if let Some(other) = other {
            known[other as usize] = Some(now);
        }
    }
}

/// Returns one element of each slice in turn, then the rest.
fn in_turn(leading: &[SocketAddr], following: &[SocketAddr]) -> Vec<SocketAddr> {
    let pairs = leading.len().max(following.len());
    (0..pairs)
        .flat_map(|place| [leading.get(place), following.get(place)])
        .flatten()
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    const BOUND: Duration = Duration::from_secs(5);

    fn address(family: Family, number: usize) -> SocketAddr {
        match family {
            Family::V4 => format!("192.0.2.{number}:443"),
            Family::V6 => format!("[2001:db8::{number}]:443"),
        }
        .parse()
        .unwrap()
    }

    fn addresses(v6: usize, v4: usize) -> Vec<SocketAddr> {
        let v6 = (1..=v6).map(|number| address(Family::V6, number));
        v6.chain((1..=v4).map(|number| address(Family::V4, number)))
            .collect()
    }

    /// A network in which one family is unreachable: its packets are lost, and an attempt takes all
    /// of its time.
    struct Network {
        dead: Cell<Option<Family>>,
        clock: Cell<Instant>,
        tried: RefCell<Vec<Family>>,
    }

    impl Network {
        fn new(dead: Family) -> Self {
            Self {
                dead: Cell::new(Some(dead)),
                clock: Cell::new(Instant::now()),
                tried: RefCell::default(),
            }
        }

        /// Returns whether a request connects, and which families it tried.
        fn reach(&self, families: &Families, addresses: &[SocketAddr]) -> (bool, Vec<Family>) {
            self.tried.borrow_mut().clear();
            let begun = self.clock.get();
            let reached = families.reach(
                addresses,
                BOUND,
                || self.clock.get(),
                |address, time| {
                    self.tried.borrow_mut().push(Family::of(&address));
                    if self.dead.get() == Some(Family::of(&address)) {
                        self.clock.set(self.clock.get() + time);
                        return Err(());
                    }
                    // The remaining time is for TLS.
                    assert!(self.clock.get() - begun < BOUND / 5 * 4, "too late for TLS");
                    Ok(())
                },
            );
            (reached.is_ok(), self.tried.borrow().clone())
        }
    }

    #[test]
    fn a_dead_family_with_any_number_of_addresses_leaves_time_for_the_other() {
        for dead in 1..=15 {
            let (families, network) = (Families::default(), Network::new(Family::V6));
            let (reached, tried) = network.reach(&families, &addresses(dead, 1));
            assert!(reached, "{dead}");
            assert_eq!(tried, [Family::V6, Family::V4], "{dead}");
        }
    }

    #[test]
    fn a_family_that_failed_is_tried_last_for_a_while_and_then_again() {
        let (families, network) = (Families::default(), Network::new(Family::V6));
        let of_both = addresses(8, 2);
        assert_eq!(network.reach(&families, &of_both).1, [Family::V6, Family::V4]);
        for _ in 0..3 {
            assert_eq!(network.reach(&families, &of_both).1, [Family::V4]);
        }
        // Another network: the unreachable family is now the other one.
        network.dead.set(Some(Family::V4));
        let (reached, tried) = network.reach(&families, &of_both);
        assert!(reached);
        assert_eq!(tried, [Family::V4, Family::V4, Family::V6]);
        assert_eq!(network.reach(&families, &of_both).1, [Family::V6]);
        network.dead.set(None);
        network.clock.set(network.clock.get() + AVOIDED);
        assert_eq!(network.reach(&families, &of_both).1, [Family::V6]);
    }

    #[test]
    fn a_server_that_is_down_makes_no_family_suspect() {
        let (families, network) = (Families::default(), Network::new(Family::V6));
        let (reached, _) = network.reach(&families, &addresses(2, 0));
        assert!(!reached);
        assert!(!families.has_failed(Family::V6, network.clock.get()));
        assert!(!network.reach(&families, &[]).0);
    }

    #[test]
    fn the_bound_holds_for_all_addresses_together() {
        let (families, network) = (Families::default(), Network::new(Family::V6));
        let begun = network.clock.get();
        assert!(!network.reach(&families, &addresses(16, 0)).0);
        assert!(network.clock.get() - begun <= BOUND);
    }
}
