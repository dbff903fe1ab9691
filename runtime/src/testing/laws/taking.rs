//! Who gets a key: *exclusive* and *all or none*.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::super::{Fixture, Violation};
use super::bench::{
    Bench, complete, ensure, expect_equal, expect_held, occupant, outlast_short_leases, rival,
    seen, take, take_all, update,
};
use crate::store::{
    Acquired, Lease, LeaseRequest, RecordState, Store, StoreError, Update, Updated,
};

const RIVALS: usize = 16;

/// Of concurrent acquires of a free or expired key exactly one gets a lease.
///
/// # Errors
/// [`Violation`] if the store breaks the law.
pub async fn exclusive(fixture: &dyn Fixture) -> Result<(), Violation> {
    let bench = Bench::new(fixture).await;
    for round in 0..4 {
        let request = bench.long(&format!("free {round}"))?;
        let lease = one_winner(&bench, &request).await?;
        expect_equal(&lease.attempt, &1, "the attempt of a first lease")?;
        expect_held(&*bench.other, &request, &lease).await?;

        // Given back and taken again.
        update(&*bench.store, &lease, Update::Release).await?;
        let lease = one_winner(&bench, &request).await?;
        expect_equal(&lease.attempt, &1, "the attempt after a release")?;
    }
    for round in 0..4 {
        let request = bench.short(&format!("expired {round}"))?;
        take(&*bench.store, &request).await?;
        outlast_short_leases().await;
        let lease = one_winner(&bench, &request).await?;
        expect_equal(&lease.attempt, &2, "the attempt after an expired lease")?;
        expect_held(&*bench.store, &request, &lease).await?;
    }
    one_at_a_time(&bench).await
}

/// Lets many attempts ask at once over two handles; all but one must see the winner.
async fn one_winner(bench: &Bench<'_>, request: &LeaseRequest) -> Result<Lease, Violation> {
    let requests = (0..RIVALS).map(|_| vec![rival(request)]);
    let mut leases = Vec::new();
    let mut seen = Vec::new();
    for answer in race(bench, requests).await? {
        match answer? {
            Acquired::Leases(taken) => leases.extend(taken),
            Acquired::Occupied(occupant) => seen.push(occupant),
        }
    }
    let [lease] = &leases[..] else {
        return Err(Violation::new(format!("{RIVALS} asked at once, and {leases:?} were given")));
    };
    for occupant in seen {
        ensure!(
            occupant.token == lease.token
                && occupant.key == lease.key
                && matches!(occupant.state, RecordState::InProgress { .. }),
            "the winner holds {lease:?}, and a loser was told {occupant:?}"
        );
    }
    Ok(lease.clone())
}

type Answers = Vec<Result<Acquired, StoreError>>;

/// Sends all at once, every other one over the other handle.
async fn race(
    bench: &Bench<'_>,
    requests: impl Iterator<Item = Vec<LeaseRequest>>,
) -> Result<Answers, Violation> {
    let mut tasks = JoinSet::new();
    for (index, requests) in requests.enumerate() {
        let store = Arc::clone(if index % 2 == 0 { &bench.store } else { &bench.other });
        tasks.spawn(async move { store.acquire(&requests).await });
    }
    let mut answers = Vec::new();
    while let Some(answer) = tasks.join_next().await {
        answers.push(answer.map_err(|error| Violation::new(error.to_string()))?);
    }
    Ok(answers)
}

/// Tasks that take a key, look around, and give it back never meet.
async fn one_at_a_time(bench: &Bench<'_>) -> Result<(), Violation> {
    let inside = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for index in 0..6 {
        let store = Arc::clone(if index % 2 == 0 { &bench.store } else { &bench.other });
        let request = bench.long("one at a time")?;
        let inside = Arc::clone(&inside);
        tasks.spawn(async move {
            for _ in 0..4 {
                let request = rival(&request);
                let lease = loop {
                    if let Acquired::Leases(mut leases) =
                        store.acquire(std::slice::from_ref(&request)).await?
                    {
                        break leases.pop();
                    }
                    tokio::task::yield_now().await;
                };
                let Some(lease) = lease else { return Err(Violation::new("no lease came back")) };
                let met = inside.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                ensure!(met == 0, "{met} others held the key beside {lease:?}");
                let answer = update(&*store, &lease, Update::Release).await?;
                expect_equal(&answer, &Updated::Applied, "the release by the holder")?;
            }
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error| Violation::new(error.to_string()))??;
    }
    Ok(())
}

/// An acquire of several keys takes all or leaves no trace.
///
/// # Errors
/// [`Violation`] if the store breaks the law.
pub async fn all_or_none(fixture: &dyn Fixture) -> Result<(), Violation> {
    let bench = Bench::new(fixture).await;
    let store: &dyn Store = &*bench.store;
    let [a, b, c] = [bench.long("a")?, bench.long("b")?, bench.long("c")?];
    let leases = take_all(store, &[a.clone(), b.clone(), c.clone()]).await?;
    for (request, lease) in [&a, &b, &c].into_iter().zip(&leases) {
        expect_held(&*bench.other, request, lease).await?;
    }

    // Whatever its place among the free ones, an occupied key keeps all others free.
    for place in 0..3 {
        let mut requests = vec![bench.long("free 1")?, bench.long("free 2")?];
        requests.insert(place, rival(&b));
        let met = occupant(store, &requests).await?;
        expect_equal(&met.key, &b.key, "the occupied key that was reported")?;
        expect_equal(&met.token, &leases[1].token, "the token of the occupant")?;
        for free in requests.iter().filter(|request| request.key != b.key) {
            let lease = take(&*bench.other, &rival(free)).await?;
            expect_equal(&lease.attempt, &1, "the attempt of a key that was left alone")?;
            update(store, &lease, Update::Release).await?;
        }
    }
    // The occupied ones are as they were.
    expect_held(store, &b, &leases[1]).await?;
    first_in_order(&bench, [&a, &b, &c], &leases).await?;
    crossing(&bench).await
}

/// Of several occupied keys the first in the order of the requests is reported.
async fn first_in_order(
    bench: &Bench<'_>,
    [a, b, c]: [&LeaseRequest; 3],
    leases: &[Lease],
) -> Result<(), Violation> {
    let store: &dyn Store = &*bench.store;
    for order in [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
        let met = occupant(store, &order.map(rival)).await?;
        expect_equal(&met.key, &order[0].key, "the first occupied key in the order asked")?;
    }
    // Completed and in progress alike.
    update(store, &leases[2], complete(b"outcome")).await?;
    let met = occupant(store, &[bench.long("free 3")?, rival(c), rival(a)]).await?;
    expect_equal(&met.key, &c.key, "the first occupied key, which is completed")?;
    ensure!(
        matches!(met.state, RecordState::Completed { .. }),
        "expected a completed record, found {met:?}"
    );
    take(store, &bench.long("free 3")?).await?;
    Ok(())
}

/// Sets of keys that cross, asked for at once in both orders: one gets them all, none waits for
/// ever.
async fn crossing(bench: &Bench<'_>) -> Result<(), Violation> {
    for round in 0..4 {
        let keys = [0, 1, 2].map(|index| bench.long(&format!("crossing {round} {index}")));
        let [x, y, z] = keys;
        let (x, y, z) = (x?, y?, z?);
        let requests = (0..RIVALS).map(|index| match index % 4 {
            0 => vec![rival(&x), rival(&y), rival(&z)],
            1 => vec![rival(&z), rival(&y), rival(&x)],
            2 => vec![rival(&y), rival(&x)],
            _ => vec![rival(&y), rival(&z)],
        });
        let mut winners = Vec::new();
        for answer in race(bench, requests).await? {
            if let Acquired::Leases(leases) = answer? {
                winners.push(leases);
            }
        }
        // All of them ask for `y`.
        let [winner] = &winners[..] else {
            return Err(Violation::new(format!("crossing sets were given to {winners:?}")));
        };
        for request in [&x, &y, &z] {
            match winner.iter().find(|lease| lease.key == request.key) {
                Some(lease) => {
                    let met = seen(&*bench.other, request).await?;
                    expect_equal(&met.token, &lease.token, "the token of the winner's key")?;
                }
                None => {
                    take(&*bench.other, &rival(request)).await?;
                }
            }
        }
    }
    Ok(())
}
