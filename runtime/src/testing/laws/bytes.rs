//! What goes in comes out: *exact*.

use super::super::{Fixture, Violation};
use super::bench::{
    Bench, LONG, complete, ensure, expect_completed, expect_equal, expect_held, fingerprint,
    occupant, rival, take, take_all, update, value,
};
use crate::store::{Fingerprint, LeaseRequest, Store, StoredOutcome, Update};

/// Names that some database, driver or script takes for one another, or for something else.
const LOOK_ALIKES: &[&str] = &[
    // Case, also where it is not ASCII.
    "order",
    "Order",
    "ORDER",
    "stra\u{df}e",
    "strasse",
    "STRASSE",
    "\u{130}",
    "I",
    "i",
    "\u{131}",
    // White space at either end, and inside.
    " order",
    "order ",
    "order  ",
    "order\t",
    "order\n",
    "order\r\n",
    "or der",
    "order\u{a0}",
    // One text in several normal forms, and characters that fold or vanish.
    "caf\u{e9}",
    "cafe\u{301}",
    "cafe",
    "\u{212b}",
    "\u{c5}",
    "A\u{30a}",
    "\u{fb01}",
    "fi",
    "\u{ff21}",
    "A",
    "a",
    "a\u{200d}",
    "a\u{feff}",
    "\u{feff}a",
    "a\u{ad}",
    // Ends of strings that are none.
    "\0",
    "a\0",
    "a\0b",
    "\0a",
    "a\u{1}",
    // Beyond the basic plane, and what is put in its place.
    "\u{1f4a5}",
    "\u{1f4a5} ",
    "\u{1f4a6}",
    "?",
    "??",
    "????",
    "\u{fffd}",
    "\u{10ffff}",
    // Wildcards, quotes, escapes, separators.
    "a%",
    "a_",
    "ab",
    "a*",
    "a?",
    "[a]",
    "a\\",
    "a\\\\",
    "a'",
    "a''",
    "a\"",
    "`a`",
    "{a}",
    "{a}b",
    "{b}a",
    "a/b",
    "a%2Fb",
    "a:b",
    "a;b",
    "'; drop table oncely_records; --",
    "$1",
    "?1",
    ":a",
    // Numbers and other words of programs.
    "1",
    "01",
    "1.0",
    "1e0",
    "+1",
    "-1",
    "0",
    "-0",
    "null",
    "NULL",
    "true",
    "NaN",
    "\\x61",
    "x'61'",
];

/// Keys differing in case, trailing space or normalization differ; outcomes return byte for byte.
///
/// # Errors
/// [`Violation`] if the store breaks the law.
pub async fn exact(fixture: &dyn Fixture) -> Result<(), Violation> {
    let bench = Bench::new(fixture).await;
    keys(&bench).await?;
    outcomes(&bench).await?;
    fingerprints(&bench).await
}

async fn keys(bench: &Bench<'_>) -> Result<(), Violation> {
    let store: &dyn Store = &*bench.store;
    let long = "k".repeat(511);
    let longest = [format!("{long}k"), format!("{long}l"), format!("K{long}"), long];
    let names: Vec<&str> =
        LOOK_ALIKES.iter().copied().chain(longest.iter().map(String::as_str)).collect();

    // One by one, each beside all the others.
    let mut held = Vec::with_capacity(names.len());
    for &name in &names {
        let request = bench.long(name)?;
        let lease = take(store, &request).await?;
        held.push((name, request, lease));
    }
    for (name, request, lease) in &held {
        expect_held(&*bench.other, request, lease).await?;
        update(store, lease, complete(name.as_bytes())).await?;
    }
    for (name, request, lease) in &held {
        expect_completed(&*bench.other, request, &value(name.as_bytes())).await?;
        let met = occupant(store, &[rival(request)]).await?;
        expect_equal(&met.token, &lease.token, "the token of a key among look-alikes")?;
    }

    // All in one step.
    let together = Bench::new(bench.fixture).await;
    let requests: Result<Vec<_>, _> = names.iter().map(|name| together.long(name)).collect();
    let leases = take_all(store, &requests?).await?;
    expect_equal(&leases.len(), &names.len(), "the number of leases")
}

async fn outcomes(bench: &Bench<'_>) -> Result<(), Violation> {
    let all: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = (0..1_u32 << 20).map(|index| ((index * 31) >> 7) as u8).collect();
    let payloads: [&[u8]; 12] = [
        b"",
        b"\0",
        b"\0\0",
        b"before\0after",
        b" ",
        b"trailing ",
        b"{\"b\": 1,  \"a\": 1.0}",
        "caf\u{e9} cafe\u{301}".as_bytes(),
        b"\xff\xfe\xc3\x28",
        b"null",
        &all,
        &large,
    ];
    let both =
        |bytes: &[u8]| [StoredOutcome::Value(bytes.into()), StoredOutcome::Error(bytes.into())];
    let outcomes = payloads.into_iter().flat_map(both).chain([StoredOutcome::Absent]);
    for (index, outcome) in outcomes.enumerate() {
        let request = bench.long(&format!("outcome {index}"))?;
        let lease = take(&*bench.store, &request).await?;
        let what = Update::Complete { outcome: outcome.clone(), retention: LONG };
        update(&*bench.store, &lease, what).await?;
        for store in [&*bench.store, &*bench.other] {
            expect_completed(store, &request, &outcome).await?;
        }
    }
    Ok(())
}

async fn fingerprints(bench: &Bench<'_>) -> Result<(), Violation> {
    for (index, byte) in [0, 1, b'%', b' ', 0x7f, 0x80, 0xff].into_iter().enumerate() {
        let mut bytes = fingerprint(byte)?.to_bytes();
        // Any version comes back, and zeros at either end.
        bytes[0] = byte;
        bytes[Fingerprint::BYTES - 1] = 0;
        let Some(fingerprint) = Fingerprint::from_bytes(&bytes) else { continue };
        let request = bench.long(&format!("fingerprint {index}"))?;
        let request: LeaseRequest = request.with_fingerprint(fingerprint);
        let lease = take(&*bench.store, &request).await?;
        expect_held(&*bench.other, &request, &lease).await?;
        update(&*bench.store, &lease, complete(b"outcome")).await?;
        let met = occupant(&*bench.other, &[rival(&request)]).await?;
        ensure!(
            met.fingerprint == Some(fingerprint),
            "{fingerprint:?} was stored, and {:?} came back",
            met.fingerprint
        );
    }
    Ok(())
}
