use oncely::idempotent;

#[idempotent(detached)]
async fn pay(id: u64) -> Result<u64, oncely::Error> {
    let shared = std::rc::Rc::new(id);
    std::future::ready(()).await;
    Ok(*shared)
}

fn main() {}
