use oncely::with_lock;

struct Request {
    order_id: u64,
}

#[with_lock(key = "order:<request.order>")]
async fn ship(request: Request) -> Result<u64, oncely::Error> {
    Ok(request.order_id)
}

fn main() {}
