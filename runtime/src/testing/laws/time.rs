//! How long things last: *final* and *store's clock*.

use std::time::Duration;

use super::super::{Fixture, Violation};
use super::bench::{
    Bench, LONG, SHORT, complete, ensure, every_update, expect_completed, expect_equal,
    expect_held, expect_update, fingerprint, occupant, outlast_short_leases, renew, resolving,
    rival, take, take_in_time, update, value,
};
use crate::store::{
    LeaseRequest, OnInterrupted, RecordState, Store, StoredOutcome, Update, Updated,
};

const HOUR: Duration = Duration::from_secs(3600);

/// A completed record is replayed until its retention ends and is never in progress again under
/// its token.
///
/// # Errors
/// [`Violation`] if the store breaks the law.
pub async fn final_(fixture: &dyn Fixture) -> Result<(), Violation> {
    let bench = Bench::new(fixture).await;
    let store: &dyn Store = &*bench.store;
    for on_interrupted in [OnInterrupted::Rerun, OnInterrupted::Hold] {
        let request = bench
            .long(&format!("{on_interrupted:?}"))?
            .with_fingerprint(fingerprint(7)?)
            .with_on_interrupted(on_interrupted);
        let request = LeaseRequest { lease: SHORT, ..request };
        let lease = take(store, &request).await?;
        expect_update(store, &lease, complete(b"first"), Updated::Applied, "by the holder").await?;
        // The lease it was taken with is over; the record is not.
        outlast_short_leases().await;
        let age = expect_completed(&*bench.other, &request, &value(b"first")).await?;
        ensure!(
            (SHORT..HOUR).contains(&age),
            "the outcome was stored some {SHORT:?} ago, not {age:?}"
        );

        let answers = [Updated::Lost, Updated::Applied, Updated::Lost, Updated::Lost];
        for (what, answer) in every_update().into_iter().zip(answers) {
            expect_update(store, &lease, what, answer, "after the completion").await?;
            expect_completed(store, &request, &value(b"first")).await?;
        }
        // Neither its own attempt nor one that resolves interruptions gets it back.
        for again in [request.clone(), resolving(&request)] {
            let met = occupant(store, &[again]).await?;
            expect_equal(&met.token, &lease.token, "the token of the completed record")?;
            ensure!(
                matches!(met.state, RecordState::Completed { .. }),
                "expected a completed record, found {met:?}"
            );
        }
        fixture.purge().await;
    }
    retention(&bench).await
}

async fn retention(bench: &Bench<'_>) -> Result<(), Violation> {
    let store: &dyn Store = &*bench.store;
    // Days of retention are kept as days.
    for (name, days) in [("a week", 7), ("a century", 36_500)] {
        let request = bench.long(name)?;
        let lease = take(store, &request).await?;
        let retention = HOUR * 24 * days;
        let what = Update::Complete { outcome: value(b"kept"), retention };
        update(store, &lease, what).await?;
        outlast_short_leases().await;
        expect_completed(&*bench.other, &request, &value(b"kept")).await?;
        // Who keeps the outcome at hand relies on it. A store that cannot tell says zero.
        let met = occupant(&*bench.other, std::slice::from_ref(&request)).await?;
        if let RecordState::Completed { remaining, .. } = met.state {
            ensure!(
                remaining <= retention - SHORT,
                "an outcome that was stored {SHORT:?} ago for {retention:?} is said to replay for \
                 {remaining:?} more"
            );
        }
    }
    let request = bench.long("soon over")?.with_on_interrupted(OnInterrupted::Hold);
    let lease = take(store, &request).await?;
    let what = Update::Complete { outcome: value(b"brief"), retention: SHORT };
    expect_update(store, &lease, what.clone(), Updated::Applied, "by the holder").await?;
    // With another fingerprint, too: nothing is left that a retry could collide with.
    let next = rival(&request).with_fingerprint(fingerprint(9)?);
    let successor = take_in_time(&*bench.other, &next).await?;
    expect_equal(&successor.attempt, &1, "the attempt after the retention")?;
    ensure!(successor.token > lease.token, "{successor:?} came after {lease:?}");
    for what in every_update().into_iter().chain([what]) {
        expect_update(store, &lease, what, Updated::Lost, "after a successor").await?;
    }
    expect_held(store, &next, &successor).await?;
    // Nothing of the earlier outcome shines through the next one.
    let what = Update::Complete { outcome: StoredOutcome::Absent, retention: LONG };
    update(store, &successor, what).await?;
    expect_completed(store, &next, &StoredOutcome::Absent).await?;
    Ok(())
}

/// Callers send durations; only the store compares times.
///
/// # Errors
/// [`Violation`] if the store breaks the law.
pub async fn stores_clock(fixture: &dyn Fixture) -> Result<(), Violation> {
    let bench = Bench::new(fixture).await;
    let store: &dyn Store = &*bench.store;

    // The lease starts when the store grants it, whenever the request was made.
    let request = bench.long("key")?;
    outlast_short_leases().await;
    let lease = take(store, &request).await?;
    let remaining = expect_held(&*bench.other, &request, &lease).await?;
    within(remaining, LONG / 2, LONG, "after the acquire")?;

    // A renewal counts from when it is applied, in both directions, and does not add up.
    for length in [LONG * 10, LONG, HOUR * 24 * 365, LONG * 2] {
        expect_update(store, &lease, renew(length), Updated::Applied, "by the holder").await?;
        let remaining = expect_held(&*bench.other, &request, &lease).await?;
        within(remaining, length - LONG / 2, length, "after a renewal")?;
    }
    expect_update(store, &lease, renew(SHORT), Updated::Applied, "by the holder").await?;
    take_in_time(&*bench.other, &rival(&request)).await?;

    // A lease of no time is over at once and not for ever.
    let request = LeaseRequest { lease: Duration::ZERO, ..bench.long("no time")? };
    take(store, &request).await?;
    take_in_time(&*bench.other, &rival(&request)).await?;
    stepping_back(&bench).await
}

/// A clock that steps back makes leases longer and loses none of them.
async fn stepping_back(bench: &Bench<'_>) -> Result<(), Violation> {
    let store: &dyn Store = &*bench.store;
    let in_progress = bench.long("in progress over the step")?;
    let completed = bench.long("completed over the step")?;
    let lease = take(store, &in_progress).await?;
    let done = take(store, &completed).await?;
    update(store, &done, complete(b"outcome")).await?;
    if !bench.fixture.step_clock_back(HOUR) {
        return Ok(());
    }
    for store in [&*bench.store, &*bench.other, &*bench.fixture.store().await] {
        expect_held(store, &in_progress, &lease).await?;
        let age = expect_completed(store, &completed, &value(b"outcome")).await?;
        ensure!(age < HOUR, "an outcome stored just now is said to be {age:?} old");
    }
    expect_update(store, &lease, renew(LONG), Updated::Applied, "after the step").await?;
    let remaining = expect_held(&*bench.other, &in_progress, &lease).await?;
    within(remaining, LONG / 2, LONG, "after a renewal after the step")?;
    expect_update(store, &lease, Update::Release, Updated::Applied, "after the step").await?;
    let next = take(&*bench.other, &rival(&in_progress)).await?;
    ensure!(next.token > lease.token, "{next:?} came after {lease:?}");
    Ok(())
}

fn within(found: Duration, least: Duration, most: Duration, when: &str) -> Result<(), Violation> {
    ensure!(
        (least..=most).contains(&found),
        "{when}: {found:?} remain of a lease; expected {least:?} to {most:?}"
    );
    Ok(())
}
