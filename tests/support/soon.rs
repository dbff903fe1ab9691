//! Waiting that comes to an end when what is tested is broken.

use std::panic::Location;
use std::time::Duration;

use tokio::time::timeout;

/// Far longer than anything in a test takes, also on a loaded machine.
const SOON: Duration = Duration::from_secs(60);

/// What `future` gives, or the end of the test at the line that waits for it.
#[track_caller]
pub fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let waits = Location::caller();
    async move {
        match timeout(SOON, future).await {
            Ok(output) => output,
            Err(_) => panic!("nothing happened within {SOON:?} at {waits}"),
        }
    }
}
