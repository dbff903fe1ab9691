use oncely::idempotent;

struct PayError(#[allow(dead_code)] std::rc::Rc<u64>);

impl From<oncely::Error> for PayError {
    fn from(_: oncely::Error) -> Self {
        Self(std::rc::Rc::new(1))
    }
}

#[idempotent(detached)]
async fn body(id: u64) -> Result<u64, oncely::Error> {
    let shared = std::rc::Rc::new(id);
    std::future::ready(()).await;
    Ok(*shared)
}

#[idempotent(detached)]
async fn error(id: u64) -> Result<u64, PayError> {
    Ok(id)
}

fn main() {}
