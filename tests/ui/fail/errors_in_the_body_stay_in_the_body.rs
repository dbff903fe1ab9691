use oncely::{idempotent, with_lock};

#[idempotent]
async fn tail(id: u64) -> Result<u64, oncely::Error> {
    drop(id);
    Ok("text")
}

#[idempotent]
async fn early(id: u64) -> Result<u64, oncely::Error> {
    if id > 3 {
        return Ok("text");
    }
    Ok(id)
}

#[with_lock(key = "order:<id>")]
async fn question_mark(id: u64) -> Result<u64, oncely::Error> {
    Ok(id + "7".parse::<u64>()?)
}

#[with_lock(key = "order:<id>")]
async fn no_tail(id: u64) -> Result<u64, oncely::Error> {
    drop(id);
}

fn main() {}
