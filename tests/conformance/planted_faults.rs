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
    while let Some(found) = tasks.join_next().await {
        let (planted, broken) = found.expect("a run of the suite");
        println!("{planted:?}: {}", broken.join("; "));
        if !broken.iter().any(|violation| violation.starts_with(law_about(planted))) {
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

/// The law that a fault is about; others may notice it too.
fn law_about(planted: Planted) -> &'static str {
    match planted {
        Planted::TakesLiveLeases | Planted::NeverExpires | Planted::ReadThenWrite => "exclusive",
        Planted::PartialAcquire | Planted::LastOccupantReported => "all or none",
        Planted::TokenFallsAfterRelease
        | Planted::TokenFallsAfterPurge
        | Planted::TokensFromTheClock => "rising",
        Planted::NoTokenCheck | Planted::FutureTokensPass => "fenced",
        Planted::LateRenewalRefused => "successor-only",
        Planted::NoRetention
        | Planted::EndlessRetention
        | Planted::RetentionIsTheLease
        | Planted::ReleaseOverwritesCompletion
        | Planted::CompletionOverwrites
        | Planted::RenewRevivesCompletion
        | Planted::FingerprintLostOnCompletion => "final",
        Planted::AcquireNotRepeatable
        | Planted::AcquireRepeatedWithNewToken
        | Planted::ReleaseNotRepeatable
        | Planted::CompleteNotRepeatable => "repeatable",
        Planted::RenewalAddsUp => "store's clock",
        Planted::CaseInsensitive
        | Planted::TrailingSpaceInsensitive
        | Planted::KeyTruncatedAtNul
        | Planted::OutcomeTruncatedAtNul
        | Planted::OutcomeAsText
        | Planted::ErrorBecomesValue => "exact",
        Planted::DroppedHalfway => "droppable",
        Planted::HoldIsTaken
        | Planted::FingerprintIgnored
        | Planted::NeverResolves
        | Planted::AttemptNotCounted
        | Planted::InterruptWaits => "held",
    }
}
