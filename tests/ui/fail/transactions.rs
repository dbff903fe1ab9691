use oncely::{idempotent, with_lock};

struct Pool;

type Tx<'a> = sqlx::Transaction<'a, sqlx::Postgres>;

#[idempotent(tx = tx)]
async fn no_transaction(tx: &mut Pool, id: u64) -> Result<u64, oncely::Error> {
    let _ = tx;
    Ok(id)
}

#[idempotent(begin(tx = pool), skip(pool))]
async fn no_pool(pool: u64, id: u64) -> Result<u64, oncely::Error> {
    let _ = tx;
    Ok(pool + id)
}

#[idempotent(tx)]
async fn no_name(tx: &mut Tx<'_>, id: u64) -> Result<u64, oncely::Error> {
    let _ = tx;
    Ok(id)
}

#[idempotent(tx = &mut tx)]
async fn borrowed(tx: &mut Tx<'_>, id: u64) -> Result<u64, oncely::Error> {
    let _ = tx;
    Ok(id)
}

#[idempotent(tx = xt)]
async fn no_argument(tx: &mut Tx<'_>, id: u64) -> Result<u64, oncely::Error> {
    let _ = tx;
    Ok(id)
}

#[idempotent(tx = tx)]
async fn by_value(tx: Tx<'static>, id: u64) -> Result<u64, oncely::Error> {
    drop(tx);
    Ok(id)
}

#[idempotent(tx = tx, begin(tx = self.pool))]
async fn both(tx: &mut Tx<'_>, id: u64) -> Result<u64, oncely::Error> {
    let _ = tx;
    Ok(id)
}

#[idempotent(begin)]
async fn begins_nowhere(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(key = "<id>")]
#[with_lock(key = "stock:<id>", tx = tx)]
async fn half(#[allow(unused)] tx: &mut Tx<'_>, id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(tx = tx, on_store_error = "run")]
#[with_lock(key = "stock:<id>", lease = "1m")]
async fn leased(tx: &mut Tx<'_>, id: u64) -> Result<u64, oncely::Error> {
    let _ = tx;
    Ok(id)
}

fn main() {}
