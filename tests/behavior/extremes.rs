//! Times at the ends of what a `Duration` can say.

use std::time::Duration;

use oncely::store::{
    Acquired, BoxFuture, Lease, LeaseRequest, Occupant, RecordState, Store, StoreError, Token,
    Update, Updated,
};
use oncely::{Coordinator, ErrorKind, Outcome};
use oncely_tests::{Counter, for_every_store, ms, soon};

use crate::{counted, pay};

/// A store whose every key is held for ever.
#[derive(Debug)]
struct Taken;

impl Store for Taken {
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        let state = RecordState::InProgress { remaining: Duration::MAX };
        let occupant = Occupant::new(requests[0].key.clone(), Token::new(1), None, state);
        Box::pin(async { Ok(Acquired::Occupied(occupant)) })
    }

    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        Box::pin(async { Ok(vec![Updated::Lost; updates.len()]) })
    }
}

for_every_store! {
    async fn no_time_is_too_long(fixture: Fixture) {
        const MAX: Duration = Duration::MAX;
        let (oncely, ran) =
            (fixture.build(Coordinator::builder().store_timeout(MAX)), Counter::default());
        let lock = || oncely.lock("order").lease(MAX).max_hold(MAX).wait(MAX);
        let call = || {
            let call = pay(&oncely, "42").lease(MAX).max_hold(MAX).wait(MAX).retention(MAX);
            call.with_lock(lock()).run(counted(&ran))
        };
        assert_eq!(call().await.unwrap(), Outcome::Executed(1));
        assert!(call().await.unwrap().is_replayed());
        let guard = lock().acquire().await.unwrap();
        assert!(guard.remaining() > Duration::from_secs(365 * 24 * 60 * 60));
        guard.release().await.unwrap();
        soon(oncely.shutdown(MAX)).await;
    }

    async fn a_time_that_is_too_short_is_refused_by_its_name(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        for (name, call) in [
            ("lease", pay(&oncely, "42").lease(Duration::ZERO)),
            ("max_hold", pay(&oncely, "42").max_hold(Duration::ZERO)),
            ("retention", pay(&oncely, "42").retention(Duration::ZERO)),
        ] {
            let refused = call.run(counted(&ran)).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidConfiguration);
            assert!(refused.to_string().contains(name), "{refused} names no {name}");
        }
        assert_eq!(ran.count(), 0);
    }

    async fn a_holder_that_never_ends_is_busy(fixture: Fixture) {
        drop(fixture);
        let oncely = Coordinator::new(Taken);
        let busy = oncely.lock("order").wait(ms(50)).acquire().await.unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::LockBusy);
    }
}
