//! A suite that passes everything proves nothing: each planted fault must fail it.

use oncely::testing::laws;
use oncely_tests::reference::{Planted, ReferenceFixture};
use tokio::task::JoinSet;

/// Which laws each fault breaks, as far as the suite notices; each is named by the one it is about.
#[tokio::test(flavor = "multi_thread")]
async fn every_planted_fault_fails_the_suite() {
    let mut tasks = JoinSet::new();
    for &planted in Planted::ALL {
        tasks.spawn(async move { (planted, broken_laws(planted).await) });
    }
    let mut missed = Vec::new();
    for (planted, broken) in tasks.join_all().await {
        println!("{planted:?}: {}", broken.join("; "));
        if !broken.iter().any(|violation| violation.starts_with(planted.law())) {
            missed.push((planted, broken));
        }
    }
    assert!(missed.is_empty(), "not caught by the law they break: {missed:#?}");
}

async fn broken_laws(planted: Planted) -> Vec<String> {
    let mut runs = JoinSet::new();
    for law in laws() {
        runs.spawn(async move {
            let fixture = ReferenceFixture::new(Some(planted));
            let violation = law.check(&fixture).await.err()?;
            Some(format!("{}: {violation}", law.name()))
        });
    }
    runs.join_all().await.into_iter().flatten().collect()
}
