use oncely::{KeyPart, idempotent, with_lock};

#[idempotent(crate = "a b")]
async fn text(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(crate)]
async fn nothing(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(crate = "oncely")]
#[with_lock(key = "<id>", crate = "once")]
async fn two(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[derive(KeyPart)]
#[key_part(name = "x")]
pub struct Unknown(u64);

#[with_lock(key = "<id>", constant)]
async fn not_constant(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

fn main() {}
