//! Calls that meet on their way to a Redis server and go together.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use oncely::store::redis::RedisStore;
use oncely::store::{
    Acquired, BoxFuture, Lease, LeaseRequest, Store, StoreError, StoreErrorKind, StoredOutcome,
    Update, Updated,
};
use oncely_tests::redis::RedisServer;
use oncely_tests::soon;
use tokio::runtime::Handle;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use crate::redis_steps::{
    calls, complete, every_update, key, met, open, outcome, renew, request, take, update,
};

/// More than may be on their way before others gather.
const CROWD: usize = 200;

/// The answers to calls that were made at once, in their order.
async fn all<T, F>(calls: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut running = JoinSet::new();
    for (place, call) in calls.into_iter().enumerate() {
        running.spawn(async move { (place, call.await) });
    }
    let mut answers = running.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

async fn acquire(store: Arc<RedisStore>, request: LeaseRequest) -> Result<Acquired, StoreError> {
    store.acquire(&[request]).await
}

async fn change(
    store: Arc<RedisStore>,
    lease: Lease,
    what: Update,
) -> Result<Vec<Updated>, StoreError> {
    store.update(&[(lease, what)]).await
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        sleep(Duration::from_millis(5)).await;
    }
}

/// The leases of so many keys, all of which are free.
async fn take_all(store: &Arc<RedisStore>, names: impl Iterator<Item = String>) -> Vec<Lease> {
    let asked = names.map(|name| acquire(Arc::clone(store), request(&name)));
    let answers = all(asked).await.into_iter().map(|answer| match answer.unwrap() {
        Acquired::Leases(mut leases) => leases.pop().unwrap(),
        Acquired::Occupied(occupant) => panic!("{occupant:?}"),
    });
    answers.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_of_a_crowd_has_its_own_answer() {
    let server = RedisServer::start();
    let store = Arc::new(open(&server.url()).await);
    let before = calls(&server, "evalsha");
    let leases = take_all(&store, (0..CROWD).map(|n| format!("{n}"))).await;
    let asked = calls(&server, "evalsha") - before;
    assert!(asked < CROWD / 2, "{CROWD} calls sent {asked} commands");
    let tokens: HashSet<_> = leases.iter().map(|lease| lease.token).collect();
    assert_eq!(tokens.len(), CROWD);
    for (number, lease) in leases.iter().enumerate() {
        assert_eq!(lease.key, key(&format!("{number}")));
    }
    let changes = leases.iter().enumerate().map(|(number, lease)| {
        let what = match number % 4 {
            0 => complete(&number.to_be_bytes()),
            1 => Update::Release,
            2 => Update::Interrupt,
            _ => renew(),
        };
        change(Arc::clone(&store), lease.clone(), what)
    });
    for answer in all(changes).await {
        assert_eq!(answer.unwrap(), [Updated::Applied]);
    }
    let again = (0..CROWD).map(|n| acquire(Arc::clone(&store), request(&format!("{n}"))));
    for ((number, answer), before) in all(again).await.into_iter().enumerate().zip(&leases) {
        match (number % 4, answer.unwrap()) {
            (0, Acquired::Occupied(occupant)) => {
                let expected = StoredOutcome::Value(number.to_be_bytes()[..].into());
                assert_eq!(outcome(occupant), expected);
            }
            (1, Acquired::Leases(leases)) => {
                assert!(leases[0].token > before.token && leases[0].attempt == 1, "{leases:?}");
            }
            (2, Acquired::Leases(leases)) => {
                assert!(leases[0].token > before.token && leases[0].attempt == 2, "{leases:?}");
            }
            (3, Acquired::Occupied(occupant)) => assert_eq!(occupant.token, before.token),
            (_, answer) => panic!("{number}: {answer:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_a_crowd_gets_the_key_that_all_want() {
    const KEYS: usize = 20;
    let server = RedisServer::start();
    let store = Arc::new(open(&server.url()).await);
    let mut last = vec![None; KEYS];
    for round in 0..20 {
        // New keys, and such as were given back; half of the calls are sent twice, as after a reply
        // that was lost.
        let requests: Vec<_> = (0..CROWD / 2).map(|n| request(&format!("{}", n % KEYS))).collect();
        let twice = requests.iter().chain(&requests).cloned();
        let answers = all(twice.map(|request| acquire(Arc::clone(&store), request))).await;
        let mut holders = vec![HashSet::new(); KEYS];
        let mut told = vec![HashSet::new(); KEYS];
        for (place, answer) in answers.into_iter().enumerate() {
            let place = place % requests.len() % KEYS;
            match answer.unwrap() {
                Acquired::Leases(leases) => holders[place].insert(leases[0].token),
                Acquired::Occupied(occupant) => told[place].insert(occupant.token),
            };
        }
        let mut leases = Vec::new();
        for (place, (holders, told)) in holders.into_iter().zip(told).enumerate() {
            assert_eq!(holders.len(), 1, "round {round}, key {place}: {holders:?}");
            assert_eq!(holders, told, "round {round}, key {place}");
            let token = holders.into_iter().next();
            assert!(token > last[place], "{token:?} came after {:?}", last[place]);
            last[place] = token;
            leases.push(Lease::new(key(&format!("{place}")), token.unwrap(), 1));
        }
        let releases =
            leases.iter().map(|lease| change(Arc::clone(&store), lease.clone(), Update::Release));
        for answer in all(releases).await {
            assert_eq!(answer.unwrap(), [Updated::Applied]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_record_fails_alone_in_a_crowd() {
    let server = RedisServer::start();
    let store = Arc::new(open(&server.url()).await);
    let leases = take_all(&store, (0..CROWD).map(|n| format!("{n}"))).await;
    for number in (0..CROWD).step_by(10) {
        let name = key(&format!("{number}"));
        server.ask::<()>(&["DEL", name.as_str()]);
        match number % 20 {
            0 => server.ask::<()>(&["RPUSH", name.as_str(), "a list"]),
            _ => server.ask::<()>(&["SET", name.as_str(), "1 c r 0 and then nothing"]),
        }
    }
    let is_broken = |place: usize| place.is_multiple_of(10);
    for what in every_update() {
        let asked =
            leases.iter().map(|lease| change(Arc::clone(&store), lease.clone(), what.clone()));
        for (place, answer) in all(asked).await.into_iter().enumerate() {
            match answer {
                Err(error) => {
                    assert!(is_broken(place), "{place}: {error}");
                    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
                }
                Ok(_) => assert!(!is_broken(place), "{place}"),
            }
        }
    }
    let asked = (0..2 * CROWD).map(|n| acquire(Arc::clone(&store), request(&format!("{n}"))));
    for (place, answer) in all(asked).await.into_iter().enumerate() {
        match answer {
            Err(error) => {
                assert!(is_broken(place) && place < CROWD, "{place}: {error}");
                assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
            }
            Ok(answer) => {
                let is_free = matches!(answer, Acquired::Leases(_));
                assert_eq!(is_free, place >= CROWD, "{place}: {answer:?}");
            }
        }
    }
    server.ask::<()>(&["SET", "oncely:last_token", "many"]);
    let asked = (0..CROWD).map(|n| acquire(Arc::clone(&store), request(&format!("new {n}"))));
    for answer in all(asked).await {
        assert_eq!(answer.expect_err("no count").kind(), StoreErrorKind::Corrupt);
    }
    assert!(!server.ask::<bool>(&["EXISTS", key("new 7").as_str()]));
}

/// On one thread, where calls gather in the order in which they were made.
#[tokio::test]
async fn calls_of_one_key_keep_their_order_in_a_crowd() {
    let server = RedisServer::start();
    let store = Arc::new(open(&server.url()).await);
    let leases = take_all(&store, (0..CROWD).map(|n| format!("{n}"))).await;
    let before = calls(&server, "evalsha");
    // The one is done in the short way, the other is not; turned round, the renewal would be lost.
    let ends = leases.iter().flat_map(|lease| [(lease, renew()), (lease, Update::Release)]);
    let ends = ends.map(|(lease, what)| change(Arc::clone(&store), lease.clone(), what));
    for answer in all(ends).await {
        assert_eq!(answer.unwrap(), [Updated::Applied]);
    }
    // A release that is sent again stands, and the key is the next one's behind it, not before.
    let again: Vec<BoxFuture<'static, bool>> = leases
        .iter()
        .enumerate()
        .flat_map(|(n, lease)| {
            let released = change(Arc::clone(&store), lease.clone(), Update::Release);
            let taken = acquire(Arc::clone(&store), request(&format!("{n}")));
            let (released, token) =
                (async { released.await.unwrap() == [Updated::Applied] }, lease.token);
            let taken = async move {
                matches!(taken.await.unwrap(), Acquired::Leases(leases) if leases[0].token > token)
            };
            [Box::pin(released) as BoxFuture<'static, bool>, Box::pin(taken)]
        })
        .collect();
    for (place, stands) in all(again).await.into_iter().enumerate() {
        assert!(stands, "{place}");
    }
    let asked = calls(&server, "evalsha") - before;
    assert!(asked < CROWD / 2, "{asked} commands, so they did not meet");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_give_up_take_nobody_along() {
    let server = RedisServer::start();
    let store = Arc::new(open(&server.url()).await);
    for round in 0..20 {
        let name = |number: usize| format!("{round}/{number}");
        let mut running: Vec<_> = (0..CROWD)
            .map(|n| Some(tokio::spawn(acquire(Arc::clone(&store), request(&name(n))))))
            .collect();
        for _ in 0..round {
            yield_now().await;
        }
        for dropped in running.iter_mut().step_by(2) {
            dropped.take().unwrap().abort();
        }
        for (number, call) in running.into_iter().enumerate() {
            let Some(call) = call else { continue };
            let answer = timeout(Duration::from_secs(10), call).await.expect("an answer").unwrap();
            let Ok(Acquired::Leases(leases)) = answer else { panic!("{answer:?}") };
            assert_eq!(leases[0].key, key(&name(number)));
        }
    }
    // Nobody is counted as on their way who is not: one at a time does not wait for anybody.
    let before = calls(&server, "evalsha");
    let lease = take(&*store, &request("after")).await;
    update(&*store, &lease, Update::Release).await;
    assert_eq!(calls(&server, "evalsha") - before, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_tasks_carry_all_crowds_and_end_with_the_store() {
    let server = RedisServer::start();
    let metrics = Handle::current().metrics();
    let store = Arc::new(open(&server.url()).await);
    let before = metrics.num_alive_tasks();
    for round in 0..50 {
        take_all(&store, (0..CROWD).map(|n| format!("{round}/{n}"))).await;
    }
    // A task counts for a moment longer than anybody waits for it.
    soon(until(|| (1..=8).contains(&(metrics.num_alive_tasks() - before)))).await;
    drop(store);
    soon(until(|| metrics.num_alive_tasks() == 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgets_the_scripts_under_load_gets_them_again() {
    let server = RedisServer::start();
    let store = Arc::new(open(&server.url()).await);
    let flushing = tokio::task::spawn_blocking(move || {
        for _ in 0..50 {
            server.ask::<()>(&["SCRIPT", "FLUSH"]);
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    });
    let mut round = 0;
    while !flushing.is_finished() {
        let leases = take_all(&store, (0..CROWD).map(|n| format!("{round}/{n}"))).await;
        let done = leases.iter().map(|lease| {
            change(Arc::clone(&store), lease.clone(), complete(lease.key.as_str().as_bytes()))
        });
        for answer in all(done).await {
            assert_eq!(answer.unwrap(), [Updated::Applied]);
        }
        round += 1;
    }
    let _server = flushing.await.unwrap();
    for number in [0, CROWD - 1] {
        let name = format!("0/{number}");
        let expected = StoredOutcome::Value(key(&name).as_str().as_bytes().into());
        assert_eq!(outcome(met(&*store, &name).await), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_hears_that_the_server_is_gone() {
    let mut server = RedisServer::start();
    let store = Arc::new(open(&server.url()).await);
    server.pause();
    let shared = Arc::clone(&store);
    let asked = (0..CROWD).map(move |n| acquire(Arc::clone(&shared), request(&format!("{n}"))));
    let asked = tokio::spawn(all(asked));
    sleep(Duration::from_millis(100)).await;
    server.kill();
    let answers = timeout(Duration::from_secs(3), asked).await.expect("answers").unwrap();
    for answer in answers {
        assert_eq!(answer.expect_err("no server").kind(), StoreErrorKind::Unavailable);
    }
    server.start_again();
    take_all(&store, (0..CROWD).map(|n| format!("{n}"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_of_any_length_are_stored_in_a_crowd() {
    let server = RedisServer::start();
    let store = Arc::new(open(&server.url()).await);
    let leases = take_all(&store, (0..CROWD).map(|n| format!("{n}"))).await;
    let payload = |number: usize| vec![number as u8; number * number * 3];
    let done = leases.iter().enumerate().map(|(number, lease)| {
        change(Arc::clone(&store), lease.clone(), complete(&payload(number)))
    });
    for answer in all(done).await {
        assert_eq!(answer.unwrap(), [Updated::Applied]);
    }
    let asked = (0..CROWD).map(|n| acquire(Arc::clone(&store), request(&format!("{n}"))));
    for (number, answer) in all(asked).await.into_iter().enumerate() {
        let Acquired::Occupied(occupant) = answer.unwrap() else { panic!("{number}") };
        assert_eq!(outcome(occupant), StoredOutcome::Value(payload(number).into()));
    }
}
