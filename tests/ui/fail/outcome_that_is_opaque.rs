#[oncely::idempotent]
async fn numbers(upto: u64) -> Result<impl Iterator<Item = u64>, oncely::Error> {
    Ok((0..upto).rev())
}

#[oncely::idempotent]
async fn opaque(id: u64) -> impl std::fmt::Debug {
    id
}

fn main() {}
