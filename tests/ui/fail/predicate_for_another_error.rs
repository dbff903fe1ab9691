use oncely::idempotent;

#[derive(serde::Serialize, serde::Deserialize)]
struct PayError;

impl From<oncely::Error> for PayError {
    fn from(_: oncely::Error) -> Self {
        Self
    }
}

fn is_final(_: &String) -> bool {
    true
}

#[idempotent(remember_errors = is_final)]
async fn pay(id: u64) -> Result<u64, PayError> {
    Ok(id)
}

#[idempotent(remember_errors = |_| true)]
async fn closure(id: u64) -> Result<u64, PayError> {
    Ok(id)
}

fn main() {}
