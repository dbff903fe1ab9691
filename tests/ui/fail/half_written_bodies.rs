use oncely::{idempotent, with_lock};

pub struct Request {
    id: u64,
}

#[idempotent]
async fn unfinished_field(request: u64) -> Result<u64, oncely::Error> {
    let text = request.to_string();
    text.
}

#[idempotent]
async fn missing_semicolon(id: u64) -> Result<u64, oncely::Error> {
    let doubled = id * 2
    Ok(doubled)
}

#[with_lock(key = "<request.id>")]
async fn unknown_method(request: Request) -> Result<u64, oncely::Error> {
    Ok(request.id.charge().await?)
}

#[with_lock(key = "<id>")]
async fn unknown_name(id: u64) -> Result<u64, oncely::Error> {
    Ok(id + amount)
}

#[idempotent]
async fn missing_return(id: u64) -> Result<u64, oncely::Error> {
    if id > 3 {
        Ok(id)
    }
}

#[idempotent]
async fn empty(id: u64) -> Result<u64, oncely::Error> {}

#[idempotent]
async fn unfinished(id: u64) -> Result<u64, oncely::Error> {
    todo!()
}

// All of them are there for their callers, with the types of their signatures.
async fn caller() -> Result<u64, oncely::Error> {
    unfinished("text").await?;
    let text: String = empty(1).await?;
    missing_semicolon(1, 2).await?;
    unfinished_field(1).await
}

fn main() {}
