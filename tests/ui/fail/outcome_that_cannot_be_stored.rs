use oncely::idempotent;

struct Receipt;

#[idempotent]
async fn pay(id: u64) -> Result<Receipt, oncely::Error> {
    drop(id);
    Ok(Receipt)
}

type Answer<T> = Result<T, oncely::Error>;

#[idempotent]
async fn alias(id: u64) -> Answer<Receipt> {
    drop(id);
    Ok(Receipt)
}

#[idempotent]
async fn borrowed(name: &str) -> Result<&str, oncely::Error> {
    Ok(name)
}

fn main() {}
