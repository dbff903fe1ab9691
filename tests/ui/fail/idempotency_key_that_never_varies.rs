use oncely::idempotent;

struct Till;

#[idempotent(key = "nightly")]
async fn constant(night: u64) -> Result<u64, oncely::Error> {
    Ok(night)
}

#[idempotent]
async fn no_arguments() -> Result<u64, oncely::Error> {
    Ok(1)
}

#[idempotent(skip(night))]
async fn all_skipped(night: u64) -> Result<u64, oncely::Error> {
    Ok(night)
}

impl Till {
    #[idempotent]
    async fn only_self(&self) -> Result<u64, oncely::Error> {
        Ok(1)
    }
}

fn main() {}
