use oncely::with_lock;

struct Request {
    customer: Option<u64>,
}

#[with_lock(key = "price:<price>")]
async fn float(price: f64) -> Result<f64, oncely::Error> {
    Ok(price)
}

#[with_lock(key = "customer:<request.customer>")]
async fn option(request: Request) -> Result<Option<u64>, oncely::Error> {
    Ok(request.customer)
}

#[with_lock(key = "thing:<thing>")]
async fn generic<T>(thing: T) -> Result<T, oncely::Error> {
    Ok(thing)
}

fn main() {}
