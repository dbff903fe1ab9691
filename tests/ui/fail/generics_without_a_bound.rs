use oncely::{idempotent, with_lock};

#[idempotent(key = "<id>")]
async fn argument<T>(id: u64, thing: T) -> Result<u64, oncely::Error> {
    drop(thing);
    Ok(id)
}

#[idempotent(key = "<id>")]
async fn inside<T>(id: u64, things: &[T]) -> Result<u64, oncely::Error> {
    drop(things);
    Ok(id)
}

#[idempotent(key = "<id>")]
async fn opaque(id: u64, thing: impl Send) -> Result<u64, oncely::Error> {
    drop(thing);
    Ok(id)
}

#[idempotent(skip(make))]
async fn outcome<T>(id: u64, make: fn(u64) -> T) -> Result<T, oncely::Error> {
    Ok(make(id))
}

#[with_lock(key = "<id>")]
async fn error<Failure>(id: u64) -> Result<u64, Failure> {
    Ok(id)
}

#[with_lock(key = "<id>")]
async fn part<T>(id: T) -> Result<u64, oncely::Error> {
    drop(id);
    Ok(1)
}

pub struct Shelf<T>(T);

impl<T> Shelf<T> {
    #[idempotent(key = "<id>")]
    pub async fn put(&self, id: u64, thing: T) -> Result<u64, oncely::Error> {
        drop(thing);
        Ok(id)
    }
}

fn main() {}
