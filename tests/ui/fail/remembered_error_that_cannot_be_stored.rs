use oncely::idempotent;

struct PayError;

impl From<oncely::Error> for PayError {
    fn from(_: oncely::Error) -> Self {
        Self
    }
}

#[idempotent(remember_errors)]
async fn pay(id: u64) -> Result<u64, PayError> {
    Ok(id)
}

fn main() {}
