use oncely::KeyPart;

#[derive(KeyPart)]
struct Pair(u64, u64);

#[derive(KeyPart)]
struct Nothing;

#[derive(KeyPart)]
enum Choice {
    One(u64),
}

#[derive(KeyPart)]
struct Price(f64);

fn main() {}
