use std::io;

#[oncely::with_lock(key = "<path>")]
async fn read(path: &str) -> io::Result<u64> {
    Ok(path.len() as u64)
}

fn main() {}
