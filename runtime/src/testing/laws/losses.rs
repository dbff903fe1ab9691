//! Replies that are lost and futures that are dropped: *repeatable* and *droppable*.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::super::{Fixture, Violation};
use super::bench::{
    Bench, LONG, complete, ensure, every_update, expect_completed, expect_equal, expect_held,
    expect_update, outlast_short_leases, renew, resolving, rival, seen, take, take_all,
    take_in_time, update, value,
};
use crate::store::{LeaseRequest, OnInterrupted, RecordState, Store, Update, Updated};

/// An acquire or update whose reply was lost can be sent again with the same answer.
///
/// # Errors
/// [`Violation`] if the store breaks the law.
pub async fn repeatable(fixture: &dyn Fixture) -> Result<(), Violation> {
    let bench = Bench::new(fixture).await;
    acquire_again(&bench).await?;
    for on_interrupted in [OnInterrupted::Rerun, OnInterrupted::Hold] {
        update_again(&bench, on_interrupted).await?;
    }
    Ok(())
}

async fn acquire_again(bench: &Bench<'_>) -> Result<(), Violation> {
    let stores = [&*bench.store, &*bench.other, &*bench.store];
    let one = bench.long("one")?;
    let lease = take(&*bench.store, &one).await?;
    for store in stores {
        expect_equal(&take(store, &one).await?, &lease, "the lease of a repeated acquire")?;
    }
    expect_held(&*bench.other, &one, &lease).await?;

    let several = [bench.long("x")?, bench.long("y")?, bench.long("z")?];
    let leases = take_all(&*bench.store, &several).await?;
    for store in stores {
        let again = take_all(store, &several).await?;
        expect_equal(&again, &leases, "the leases of a repeated acquire")?;
    }

    // As a second attempt, and of a lease that is over and met nobody: for its whole length again.
    for on_interrupted in [OnInterrupted::Rerun, OnInterrupted::Hold] {
        let name = format!("over, {on_interrupted:?}");
        let first = bench.short(&name)?.with_on_interrupted(on_interrupted);
        let lease = take(&*bench.store, &first).await?;
        update(&*bench.store, &lease, Update::Interrupt).await?;
        let second = LeaseRequest { lease: first.lease, ..resolving(&first) };
        let lease = take(&*bench.store, &second).await?;
        outlast_short_leases().await;
        let again = take(&*bench.other, &LeaseRequest { lease: LONG, ..second.clone() }).await?;
        expect_equal(&again, &lease, "the lease of an acquire repeated after it expired")?;
        expect_equal(&again.attempt, &2, "the attempt of a repeated acquire")?;
        let remaining = expect_held(&*bench.store, &second, &lease).await?;
        ensure!(remaining > LONG / 2, "the repeated acquire left only {remaining:?} of {LONG:?}");
    }

    // After a successor took over, the late copy of a request gets nothing.
    let first = bench.short("succeeded")?;
    take(&*bench.store, &first).await?;
    let successor = take_in_time(&*bench.other, &rival(&first)).await?;
    let met = seen(&*bench.store, &first).await?;
    expect_equal(&met.token, &successor.token, "the token that a late request is shown")?;
    expect_held(&*bench.store, &first, &successor).await?;
    Ok(())
}

async fn update_again(bench: &Bench<'_>, choice: OnInterrupted) -> Result<(), Violation> {
    let stores = [&*bench.store, &*bench.other, &*bench.store];
    for (index, what) in every_update().into_iter().enumerate() {
        let name = format!("update {index}, {choice:?}");
        let request = bench.long(&name)?.with_on_interrupted(choice);
        let lease = take(&*bench.store, &request).await?;
        for store in stores {
            expect_update(store, &lease, what.clone(), Updated::Applied, "sent again").await?;
        }
        match what {
            Update::Renew { .. } => {
                expect_held(&*bench.store, &request, &lease).await?;
            }
            Update::Complete { .. } => {
                expect_completed(&*bench.store, &request, &value(b"another")).await?;
            }
            Update::Release | Update::Interrupt => {
                let next = take(&*bench.other, &resolving(&request)).await?;
                let when = "sent again after a successor";
                expect_update(&*bench.store, &lease, what, Updated::Lost, when).await?;
                expect_held(&*bench.store, &request, &next).await?;
            }
        }
    }
    // Several in one step, with one that is lost among them.
    let name = |part: &str| format!("slice {part}, {choice:?}");
    let requests = [bench.long(&name("a"))?, bench.long(&name("b"))?, bench.long(&name("c"))?];
    let leases = take_all(&*bench.store, &requests).await?;
    let [a, b, c] = &leases[..] else { return Err(Violation::new("three leases were asked for")) };
    update(&*bench.store, c, Update::Release).await?;
    let updates =
        [(a.clone(), complete(b"outcome")), (c.clone(), renew(LONG)), (b.clone(), Update::Release)];
    let expected = [Updated::Applied, Updated::Lost, Updated::Applied];
    for store in stores {
        let answers = store.update(&updates).await?;
        expect_equal(&answers.as_slice(), &expected.as_slice(), "the answers to repeated updates")?;
    }
    Ok(())
}

/// Dropping any future leaves a legal state.
///
/// # Errors
/// [`Violation`] if the store breaks the law.
pub async fn droppable(fixture: &dyn Fixture) -> Result<(), Violation> {
    let bench = Bench::new(fixture).await;
    let pauses = [0, 0, 50, 200, 800, 3000].map(Duration::from_micros);
    for (round, pause) in pauses.into_iter().enumerate() {
        for polls in 0..6 {
            let drops = Drops { polls, pause };
            let name = format!("{round} {polls}");
            dropped_acquire(&bench, drops, &name).await?;
            dropped_updates(&bench, drops, &name).await?;
        }
    }
    // The store is as good as new, over either handle.
    for store in [&*bench.store, &*bench.other] {
        let request = rival(&bench.long("afterwards")?);
        let lease = take(store, &request).await?;
        expect_update(store, &lease, Update::Release, Updated::Applied, "afterwards").await?;
    }
    Ok(())
}

/// When a future is dropped: after so many polls, with a pause between them.
#[derive(Clone, Copy)]
struct Drops {
    polls: usize,
    pause: Duration,
}

impl Drops {
    async fn run(self, future: impl Future) {
        let mut future = pin!(future);
        for _ in 0..self.polls {
            let ready = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready()));
            if ready.await {
                return;
            }
            tokio::time::sleep(self.pause).await;
        }
    }
}

/// The keys are taken by that attempt, all of them, or by nobody.
async fn dropped_acquire(bench: &Bench<'_>, drops: Drops, name: &str) -> Result<(), Violation> {
    let request = |part: &str| bench.long(&format!("{name} acquire {part}"));
    let requests = [request("a")?, request("b")?];
    drops.run(bench.store.acquire(&requests)).await;
    // The same attempt gets them in either case, and is not told that it stands in its own way.
    let leases = take_all(&*bench.other, &requests).await?;
    for (request, lease) in requests.iter().zip(&leases) {
        expect_held(&*bench.store, request, lease).await?;
        expect_equal(&lease.attempt, &1, "the attempt after a dropped future")?;
        let store: &dyn Store = &*bench.store;
        expect_update(store, lease, Update::Release, Updated::Applied, "by the holder").await?;
    }
    // An attempt that gave up for good leaves nothing half taken.
    let given_up = [request("c")?, request("d")?];
    drops.run(bench.store.acquire(&given_up)).await;
    settle().await;
    let mut taken = Vec::new();
    for request in &given_up {
        let rival = rival(request);
        let met = bench.other.acquire(std::slice::from_ref(&rival)).await?;
        taken.push(match met {
            crate::store::Acquired::Leases(_) => None,
            crate::store::Acquired::Occupied(occupant) => Some(occupant),
        });
    }
    ensure!(
        matches!(&taken[..], [None, None] | [Some(_), Some(_)]),
        "a dropped acquire of two keys left {taken:?}"
    );
    Ok(())
}

/// The update is applied or not, and what is sent next finds a record that is one or the other.
async fn dropped_updates(bench: &Bench<'_>, drops: Drops, name: &str) -> Result<(), Violation> {
    let store: &dyn Store = &*bench.store;
    for (index, what) in every_update().into_iter().enumerate() {
        let request = bench.long(&format!("{name} update {index}"))?;
        let lease = take(store, &request).await?;
        let updates = [(lease.clone(), what.clone())];
        drops.run(store.update(&updates)).await;
        // Sent again, it is answered as if it had been sent once.
        let when = "after a dropped copy of it";
        expect_update(&*bench.other, &lease, what.clone(), Updated::Applied, when).await?;
        match what {
            Update::Renew { .. } => {
                expect_held(store, &request, &lease).await?;
                drops.run(store.update(&updates)).await;
                let done = complete(b"outcome");
                expect_update(&*bench.other, &lease, done, Updated::Applied, "then").await?;
                expect_completed(store, &request, &value(b"outcome")).await?;
            }
            Update::Complete { .. } => {
                expect_completed(store, &request, &value(b"another")).await?;
            }
            Update::Release | Update::Interrupt => {
                // A copy that is still on its way does not reach the successor's record.
                drops.run(store.update(&updates)).await;
                let next = take(&*bench.other, &rival(&request)).await?;
                settle().await;
                let met = seen(store, &request).await?;
                ensure!(
                    met.token == next.token && matches!(met.state, RecordState::InProgress { .. }),
                    "a dropped {what:?} reached the successor {next:?}: {met:?}"
                );
            }
        }
    }
    Ok(())
}

/// Gives what still runs in the background the time to do its harm.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}
