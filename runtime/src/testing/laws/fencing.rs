//! What a token proves: *rising*, *fenced* and *successor-only*.

use std::time::Duration;

use super::super::{Fixture, Violation};
use super::bench::{
    Bench, LONG, SHORT, complete, ensure, every_update, expect_completed, expect_equal,
    expect_held, expect_update, fingerprint, interrupted_in_time, outlast_short_leases, renew,
    resolving, rival, take, take_in_time, update, value,
};
use crate::store::{
    Lease, LeaseRequest, OnInterrupted, Store, StoredOutcome, Token, Update, Updated,
};

/// Tokens of a key strictly increase, across release, expiry, completion, interruption, purge, and
/// a store clock that steps back; between two of them is what the store says that it leaves unused.
///
/// # Errors
/// [`Violation`] if the store breaks the law.
pub async fn rising(fixture: &dyn Fixture) -> Result<(), Violation> {
    let bench = Bench::new(fixture).await;
    let long = bench.long("key")?;
    let (mut used, spare) = (0, bench.store.spare_tokens());
    for round in 0..2 {
        for end in [Ends::Released, Ends::Expired, Ends::Completed, Ends::Interrupted] {
            for purge in [false, true] {
                let lease = hold_once(&bench, &long, end).await?;
                ensure!(
                    lease.token.value() > used,
                    "{:?} came when those to {used} were used (round {round}, before {end:?})",
                    lease.token
                );
                ensure!(lease.token.value() < 1 << 53, "{:?} is too large", lease.token);
                used = lease.token.value() + spare;
                if purge {
                    fixture.purge().await;
                }
            }
        }
        // The second round runs with the clock an hour back, where that can be done.
        fixture.step_clock_back(Duration::from_secs(3600));
    }
    let held = rival(&long).with_on_interrupted(OnInterrupted::Hold);
    let lease = take_in_time(&*bench.store, &held).await?;
    update(&*bench.store, &lease, Update::Interrupt).await?;
    let resolved = take(&*bench.other, &resolving(&held)).await?;
    ensure!(
        resolved.token > lease.token && lease.token.value() > used,
        "{:?} and {:?} came when those to {used} were used",
        lease.token,
        resolved.token
    );
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Ends {
    Released,
    Expired,
    Completed,
    Interrupted,
}

/// Takes the key over one handle and lets the lease end over the other, so that the key will be
/// free.
async fn hold_once(
    bench: &Bench<'_>,
    request: &LeaseRequest,
    end: Ends,
) -> Result<Lease, Violation> {
    let lease = match end {
        Ends::Expired => LeaseRequest { lease: SHORT, ..rival(request) },
        Ends::Released | Ends::Completed | Ends::Interrupted => rival(request),
    };
    let lease = take_in_time(&*bench.store, &lease).await?;
    let ended = match end {
        Ends::Expired => return Ok(lease),
        Ends::Released => Update::Release,
        Ends::Interrupted => Update::Interrupt,
        Ends::Completed => Update::Complete { outcome: value(b"outcome"), retention: SHORT },
    };
    expect_update(&*bench.other, &lease, ended, Updated::Applied, "by the holder").await?;
    Ok(lease)
}

/// An update with another token changes nothing and says [`Updated::Lost`].
///
/// # Errors
/// [`Violation`] if the store breaks the law.
pub async fn fenced(fixture: &dyn Fixture) -> Result<(), Violation> {
    let bench = Bench::new(fixture).await;
    let store: &dyn Store = &*bench.store;
    let first = bench.long("key")?.with_fingerprint(fingerprint(1)?);
    let released = take(store, &first).await?;
    update(store, &released, Update::Release).await?;
    let second = LeaseRequest { lease: SHORT, ..rival(&first) };
    let expired = take(store, &second).await?;
    let third = rival(&first);
    let lease = take_in_time(&*bench.other, &third).await?;

    let with_token = |token: Token| Lease { token, ..lease.clone() };
    let next = with_token(Token::new(lease.token.value() + 1));
    let far = with_token(Token::new((1 << 53) - 1));
    let zero = with_token(Token::new(0));
    let strangers = [&released, &expired, &next, &far, &zero];
    for stranger in strangers {
        for what in every_update().into_iter().chain([renew(Duration::from_millis(1))]) {
            let when = format!("under {:?} while {:?} holds the key", stranger.token, lease.token);
            expect_update(store, stranger, what, Updated::Lost, &when).await?;
            let remaining = expect_held(store, &third, &lease).await?;
            ensure!(remaining > LONG / 3, "a stranger shortened the lease to {remaining:?}");
        }
    }
    // Each update stands for itself.
    let answers = store
        .update(&[
            (expired.clone(), Update::Release),
            (lease.clone(), renew(LONG)),
            (next.clone(), complete(b"another")),
            (lease.clone(), complete(b"outcome")),
            (zero.clone(), Update::Interrupt),
        ])
        .await?;
    let expected =
        [Updated::Lost, Updated::Applied, Updated::Lost, Updated::Applied, Updated::Lost];
    expect_equal(&answers.as_slice(), &expected.as_slice(), "the answers to mixed updates")?;

    for stranger in strangers {
        for what in every_update() {
            let when = format!("under {:?} of a completed record", stranger.token);
            expect_update(store, stranger, what, Updated::Lost, &when).await?;
        }
    }
    expect_completed(&*bench.other, &third, &value(b"outcome")).await?;
    without_a_record(&bench, &lease).await
}

/// Nothing is in progress where there is no record, and updates do not make one.
async fn without_a_record(bench: &Bench<'_>, like: &Lease) -> Result<(), Violation> {
    let store: &dyn Store = &*bench.store;
    let request = bench.long("never taken")?;
    let lease = Lease { key: request.key.clone(), ..like.clone() };
    for what in every_update() {
        expect_update(store, &lease, what, Updated::Lost, "of a key without a record").await?;
    }
    let lease = take(store, &request).await?;
    expect_equal(&lease.attempt, &1, "the attempt of a first lease")
}

/// Time alone does not take a lease away, a successor does; a late update that met nobody applies.
///
/// # Errors
/// [`Violation`] if the store breaks the law.
pub async fn successor_only(fixture: &dyn Fixture) -> Result<(), Violation> {
    let bench = Bench::new(fixture).await;
    let store: &dyn Store = &*bench.store;
    for (index, what) in every_update().into_iter().enumerate() {
        for on_interrupted in [OnInterrupted::Rerun, OnInterrupted::Hold] {
            let name = format!("late {index} {on_interrupted:?}");
            let request = bench.short(&name)?.with_on_interrupted(on_interrupted);
            let lease = take(store, &request).await?;
            outlast_short_leases().await;
            let when = "after expiry, before any successor";
            expect_update(store, &lease, what.clone(), Updated::Applied, when).await?;
            match what {
                Update::Renew { .. } => {
                    expect_held(&*bench.other, &request, &lease).await?;
                    expect_update(store, &lease, complete(b"late"), Updated::Applied, "after it")
                        .await?;
                }
                Update::Complete { .. } => {
                    expect_completed(&*bench.other, &request, &value(b"another")).await?;
                }
                Update::Release | Update::Interrupt => {
                    let next = take(&*bench.other, &resolving(&request)).await?;
                    expect_update(store, &lease, renew(LONG), Updated::Lost, "after a successor")
                        .await?;
                    expect_held(store, &resolving(&request), &next).await?;
                }
            }
        }
    }
    looks_are_no_successors(&bench).await?;

    let request = bench.short("taken over")?;
    let lease = take(store, &request).await?;
    let next = take_in_time(&*bench.other, &rival(&request)).await?;
    for what in every_update() {
        expect_update(store, &lease, what, Updated::Lost, "after a successor").await?;
    }
    expect_held(store, &request, &next).await?;
    Ok(())
}

/// Somebody who asked and was refused did not take the lease away.
async fn looks_are_no_successors(bench: &Bench<'_>) -> Result<(), Violation> {
    let store: &dyn Store = &*bench.store;
    let held = bench.short("asked: held")?.with_on_interrupted(OnInterrupted::Hold);
    let reused = bench.short("asked: reused")?.with_fingerprint(fingerprint(1)?);
    let other_call = rival(&reused).with_fingerprint(fingerprint(2)?);
    for (request, asks) in [(&held, rival(&held)), (&reused, other_call)] {
        let lease = take(store, request).await?;
        interrupted_in_time(&*bench.other, &asks).await?;
        let when = "after a refused request";
        expect_update(store, &lease, renew(LONG), Updated::Applied, when).await?;
        expect_held(&*bench.other, request, &lease).await?;
        let outcome = StoredOutcome::Absent;
        let what = Update::Complete { outcome: outcome.clone(), retention: LONG };
        expect_update(store, &lease, what, Updated::Applied, "after the renewal").await?;
        expect_completed(&*bench.other, request, &outcome).await?;
    }
    Ok(())
}
