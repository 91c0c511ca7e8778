//! Lost responses of a token endpoint.

use super::*;

#[test]
fn an_answer_that_was_lost_is_declared_as_lost() {
    let (world, alice) = connected();
    world.expire();
    world.http.on("/token").next(Fault::InterruptedAfterSend);
    assert!(
        world
            .resolver
            .resolve(&alice, "notes")
            .unwrap_err()
            .is_retryable()
    );
    world.clock.advance(Duration::from_secs(61));
    // The server accepts each refresh token once and ends the family at a replay: the grant is
    // lost, but the loss is reported.
    assert_eq!(
        reason(&world.resolver.resolve(&alice, "notes").unwrap_err()),
        ConsentReason::LostInFlight
    );
}

#[test]
fn an_answer_that_was_lost_is_asked_for_again_where_the_old_token_still_works() {
    for rotation in [
        RotationClass::Static,
        RotationClass::OldStaysValid,
        RotationClass::Grace(Duration::from_secs(120)),
    ] {
        let (world, alice) = connected_like(World::like(|it| it.rotation = rotation));
        world.expire();
        for lost in [
            Fault::InterruptedAfterSend,
            Fault::TimeoutAfterSend,
            Fault::Timeout,
        ] {
            world.sandbox.clear_log();
            let before = world.token_requests();
            world.http.on("/token").next(lost);
            // Immediately: no caller waits for a back-off, and the grace period does not pass
            // meanwhile.
            token(&world, &alice);
            assert_eq!(world.token_requests() - before, 2, "{rotation:?}");
            world.expire();
        }
    }
}

#[test]
fn an_answer_that_is_lost_twice_is_asked_for_within_the_grace_period() {
    let grace = Duration::from_secs(10);
    let (world, alice) = connected_like(World::like(|it| it.rotation = RotationClass::Grace(grace)));
    world.expire();
    for _ in 0..2 {
        world.http.on("/token").next(Fault::InterruptedAfterSend);
    }
    let error = world.resolver.resolve(&alice, "notes").unwrap_err();
    let wait = error.retry_after().unwrap();
    assert!(wait < grace / 2, "{wait:?}");
    world.clock.advance(wait);
    token(&world, &alice);
}

#[test]
fn an_answer_that_was_lost_is_not_asked_for_again_where_the_old_token_may_be_dead() {
    for rotation in [
        RotationClass::SingleUse,
        RotationClass::SingleUseRevokesFamily,
        RotationClass::Unknown,
    ] {
        let (world, alice) = connected_like(World::like(|it| it.rotation = rotation));
        world.expire();
        let before = world.token_requests();
        world.http.on("/token").next(Fault::Timeout);
        let error = world.resolver.resolve(&alice, "notes").unwrap_err();
        assert!(error.is_retryable(), "{rotation:?}");
        assert_eq!(world.token_requests() - before, 1, "{rotation:?}");
    }
}

#[test]
fn a_server_that_was_not_reached_is_asked_again_soon() {
    let (world, alice) = connected();
    world.expire();
    world.http.on("/token").next(Fault::Connect);
    let error = world.resolver.resolve(&alice, "notes").unwrap_err();
    let wait = error.retry_after().unwrap();
    assert!(wait <= Duration::from_secs(2), "nothing was sent: {wait:?}");
    world.clock.advance(wait);
    token(&world, &alice);
}
