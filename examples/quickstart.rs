//! One function, safe to call twice and safe to call at the same time.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use oncely::{Coordinator, idempotent, with_lock};

static CHARGES: AtomicU32 = AtomicU32::new(0);

#[idempotent(key = "pay:<request_id>")]
#[with_lock(key = "order:<order_id>", wait = "2s")]
async fn pay(request_id: &str, order_id: u64, cents: u64) -> anyhow::Result<String> {
    let charge = CHARGES.fetch_add(1, Relaxed) + 1;
    Ok(format!("charge {charge}: {cents} cents for order {order_id}"))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    Coordinator::connect("memory:").await?.install()?;

    // Twice at the same time, and once more afterwards.
    let (first, twin) = tokio::try_join!(pay("r-1", 42, 999), pay("r-1", 42, 999))?;
    let retry = pay("r-1", 42, 999).await?;

    assert_eq!((&first, &first), (&twin, &retry));
    println!("called 3 times, body ran {} time: {retry}", CHARGES.load(Relaxed));
    Ok(())
}
