//! What happens to a record whose holder vanished: *held*.

use super::super::{Fixture, Violation};
use super::bench::{
    Bench, SHORT, complete, ensure, expect_completed, expect_equal, expect_held,
    expect_interrupted, fingerprint, interrupted_in_time, occupant, outlast_short_leases,
    resolving, rival, take, take_in_time, update, value,
};
use crate::store::{Fingerprint, LeaseRequest, OnInterrupted, RecordState, Store, Update, Updated};

/// An expired record of [`OnInterrupted::Hold`] is reported, not taken, unless the request
/// resolves it; so is one with another fingerprint.
///
/// # Errors
/// [`Violation`] if the store breaks the law.
pub async fn held(fixture: &dyn Fixture) -> Result<(), Violation> {
    let bench = Bench::new(fixture).await;
    for interrupted in [false, true] {
        hold(&bench, interrupted).await?;
        other_fingerprint(&bench, interrupted, Some(1), Some(2)).await?;
        other_fingerprint(&bench, interrupted, Some(1), None).await?;
        other_fingerprint(&bench, interrupted, None, Some(1)).await?;
    }
    the_records_choice_counts(&bench).await?;
    resolving_takes_nothing_else(&bench).await
}

/// Of an expired or an interrupted `hold` record.
async fn hold(bench: &Bench<'_>, interrupted: bool) -> Result<(), Violation> {
    let store: &dyn Store = &*bench.store;
    let name = format!("hold, interrupted: {interrupted}");
    let request = bench.short(&name)?.with_on_interrupted(OnInterrupted::Hold);
    let lease = take(store, &request).await?;
    if interrupted {
        let answer = update(store, &lease, Update::Interrupt).await?;
        expect_equal(&answer, &Updated::Applied, "the interruption by the holder")?;
        // At once, not after the lease.
        expect_interrupted(&*bench.other, &rival(&request)).await?;
    }
    let met = interrupted_in_time(&*bench.other, &rival(&request)).await?;
    expect_equal(&met.token, &lease.token, "the token of the interrupted record")?;
    // It waits for someone, for as long as it takes.
    bench.fixture.purge().await;
    expect_interrupted(store, &rival(&request)).await?;
    // One such key refuses the whole set.
    let free = bench.long(&format!("beside {name}"))?;
    let met = occupant(store, &[free.clone(), rival(&request)]).await?;
    expect_equal(&met.state, &RecordState::Interrupted, "the state of the occupied key")?;
    take(store, &free).await?;

    let resolution = resolving(&request);
    let resolved = take(&*bench.other, &resolution).await?;
    expect_equal(&resolved.attempt, &2, "the attempt that resolves the first")?;
    ensure!(resolved.token > lease.token, "{resolved:?} came after {lease:?}");
    let late = update(store, &lease, complete(b"late")).await?;
    expect_equal(&late, &Updated::Lost, "a completion after the record was resolved")?;
    expect_held(store, &resolution, &resolved).await?;
    update(store, &resolved, complete(b"resolved")).await?;
    expect_completed(store, &request, &value(b"resolved")).await?;
    Ok(())
}

/// A retry with other arguments does not take over half a call; one with the same does.
async fn other_fingerprint(
    bench: &Bench<'_>,
    interrupted: bool,
    of_record: Option<u8>,
    of_request: Option<u8>,
) -> Result<(), Violation> {
    let store: &dyn Store = &*bench.store;
    let print = |byte: Option<u8>| byte.map(fingerprint).transpose();
    let name = format!("fingerprints {of_record:?} {of_request:?}, interrupted: {interrupted}");
    let request = LeaseRequest { fingerprint: print(of_record)?, ..bench.short(&name)? };
    let lease = take(store, &request).await?;
    if interrupted {
        update(store, &lease, Update::Interrupt).await?;
    }
    let differs = LeaseRequest { fingerprint: print(of_request)?, ..rival(&request) };
    for store in [&*bench.store, &*bench.other] {
        let met = interrupted_in_time(store, &differs).await?;
        expect_equal(&met.fingerprint, &request.fingerprint, "the fingerprint of the record")?;
    }
    let same = take_in_time(store, &rival(&request)).await?;
    expect_equal(&same.attempt, &2, "the attempt with the same fingerprint")?;
    update(store, &same, Update::Interrupt).await?;
    expect_interrupted(store, &rival(&differs)).await?;
    let resolution = LeaseRequest { resolve: true, ..rival(&differs) };
    let resolved = take(&*bench.other, &resolution).await?;
    expect_equal(&resolved.attempt, &3, "the attempt that resolves with another fingerprint")?;
    // From now on the record is that of the new call; who resolves it without knowing its arguments
    // does not make it forget them.
    let kept = resolution.fingerprint.or(request.fingerprint);
    expect_fingerprint(store, &request, kept).await?;
    update(store, &resolved, complete(b"outcome")).await?;
    expect_fingerprint(store, &request, kept).await
}

async fn expect_fingerprint(
    store: &dyn Store,
    request: &LeaseRequest,
    expected: Option<Fingerprint>,
) -> Result<(), Violation> {
    let met = occupant(store, &[rival(request)]).await?;
    expect_equal(&met.fingerprint, &expected, "the fingerprint of the record")
}

/// What an interruption means was chosen when the record was made, not by who comes next.
async fn the_records_choice_counts(bench: &Bench<'_>) -> Result<(), Violation> {
    let store: &dyn Store = &*bench.store;
    let hold = bench.short("made to hold")?.with_on_interrupted(OnInterrupted::Hold);
    take(store, &hold).await?;
    let rerun = rival(&hold).with_on_interrupted(OnInterrupted::Rerun);
    interrupted_in_time(&*bench.other, &rerun).await?;

    let rerun = bench.short("made to rerun")?;
    take(store, &rerun).await?;
    let hold = rival(&rerun).with_on_interrupted(OnInterrupted::Hold);
    let lease = take_in_time(&*bench.other, &hold).await?;
    expect_equal(&lease.attempt, &2, "the attempt after an expired lease")?;
    // And the new record holds.
    update(store, &lease, Update::Interrupt).await?;
    expect_interrupted(store, &rival(&rerun)).await?;

    // What was given back is not interrupted, however it was taken.
    let request = bench.long("released")?.with_on_interrupted(OnInterrupted::Hold);
    let lease = take(store, &request).await?;
    update(store, &lease, Update::Release).await?;
    let lease = take(&*bench.other, &rival(&request).with_fingerprint(fingerprint(3)?)).await?;
    expect_equal(&lease.attempt, &1, "the attempt after a release")
}

/// A request that resolves interruptions takes no record that is not interrupted.
async fn resolving_takes_nothing_else(bench: &Bench<'_>) -> Result<(), Violation> {
    let store: &dyn Store = &*bench.store;
    let request = bench.long("not interrupted")?.with_fingerprint(fingerprint(4)?);
    let lease = take(store, &request).await?;
    let resolution = resolving(&request).with_fingerprint(fingerprint(5)?);
    let met = occupant(&*bench.other, std::slice::from_ref(&resolution)).await?;
    ensure!(
        matches!(met.state, RecordState::InProgress { .. }) && met.token == lease.token,
        "expected the record in progress, found {met:?}"
    );
    update(store, &lease, complete(b"outcome")).await?;
    outlast_short_leases().await;
    let met = occupant(&*bench.other, std::slice::from_ref(&resolution)).await?;
    ensure!(
        matches!(met.state, RecordState::Completed { .. }),
        "expected the completed record, found {met:?}"
    );
    // A free key is simply taken.
    let free = LeaseRequest { resolve: true, lease: SHORT, ..bench.long("free")? };
    let lease = take(store, &free).await?;
    expect_equal(&lease.attempt, &1, "the attempt of a first lease")
}
