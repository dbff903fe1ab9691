use oncely::idempotent;

struct Client;

#[idempotent]
async fn pay(id: u64, client: &Client) -> Result<u64, oncely::Error> {
    let _ = client;
    Ok(id)
}

#[idempotent]
async fn generic<T>(id: u64, thing: T) -> Result<u64, oncely::Error> {
    drop(thing);
    Ok(id)
}

fn main() {}
