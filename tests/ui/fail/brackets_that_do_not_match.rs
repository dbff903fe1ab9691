use oncely::{idempotent, with_lock};

#[with_lock(key = "")]
async fn empty_template(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(key = "order:<>")]
async fn empty_placeholder(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(key = "order:<id")]
async fn unclosed(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(key = "order:id>")]
async fn stray(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(key = "order:< id >")]
async fn padded(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(key = "order:<id.to_string()>")]
async fn expression(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(key = "order:{id}")]
async fn braces(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

struct User {
    id: u64,
}

#[idempotent(scope = "user.id")]
async fn scope_without_brackets(user: User) -> Result<u64, oncely::Error> {
    Ok(user.id)
}

fn main() {}
