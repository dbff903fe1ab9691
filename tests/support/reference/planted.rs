//! What can be wrong with a store.

/// One thing that a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Updates apply whatever their token.
    NoTokenCheck,
    /// Updates apply under any token that is not lower than the record's.
    FutureTokensPass,
    /// The token starts again after a release.
    TokenFallsAfterRelease,
    /// The token starts again after a purge.
    TokenFallsAfterPurge,
    /// Tokens are the milliseconds of a clock that may step back.
    TokensFromTheClock,
    /// The tokens that it calls spare are granted.
    SpareTokensGranted,
    /// An expired lease can never be taken.
    NeverExpires,
    /// A lease can be taken before it expires.
    TakesLiveLeases,
    /// Expired `hold` records are taken like others.
    HoldIsTaken,
    /// Interrupted records are taken whatever their fingerprint.
    FingerprintIgnored,
    /// `resolve` changes nothing.
    NeverResolves,
    /// Who resolves a record without a fingerprint makes the record forget its own.
    ResolverForgetsFingerprint,
    /// The keys before an occupied one stay taken.
    PartialAcquire,
    /// The last occupied key is reported, not the first.
    LastOccupantReported,
    /// A completed record is gone at once.
    NoRetention,
    /// A completed record is there for ever.
    EndlessRetention,
    /// A record's retention ends with its lease.
    RetentionIsTheLease,
    /// An outcome is said to replay for its whole retention, whenever it is looked at.
    RemainsTooLong,
    /// Keys are compared without case.
    CaseInsensitive,
    /// Keys are compared without trailing spaces.
    TrailingSpaceInsensitive,
    /// Keys end at NUL.
    KeyTruncatedAtNul,
    /// A release deletes whatever is there, completed or not.
    ReleaseOverwritesCompletion,
    /// A second completion replaces the first.
    CompletionOverwrites,
    /// A completed record is renewed back into progress.
    RenewRevivesCompletion,
    /// An acquire that is sent again finds itself in its way.
    AcquireNotRepeatable,
    /// An acquire that is sent again gets a new token.
    AcquireRepeatedWithNewToken,
    /// A release that is sent again is lost.
    ReleaseNotRepeatable,
    /// A completion that is sent again is lost.
    CompleteNotRepeatable,
    /// Outcomes end at NUL.
    OutcomeTruncatedAtNul,
    /// Outcomes are kept as text.
    OutcomeAsText,
    /// An error is replayed as a value.
    ErrorBecomesValue,
    /// A renewal after expiry is refused, though nobody came.
    LateRenewalRefused,
    /// A renewal adds to what remains.
    RenewalAddsUp,
    /// The attempt is always the first.
    AttemptNotCounted,
    /// The fingerprint is forgotten when the outcome is stored.
    FingerprintLostOnCompletion,
    /// An interruption waits for the lease to expire.
    InterruptWaits,
    /// Looking and taking are two steps.
    ReadThenWrite,
    /// A dropped acquire leaves its first key taken by nobody.
    DroppedHalfway,
    /// What needs no waiting takes a key without a look at it.
    AtOnceIsBlind,
    /// What needs no waiting applies whatever the token.
    AtOnceIsUnfenced,
}

impl Planted {
    /// Every fault.
    pub const ALL: &[Self] = &[
        Self::NoTokenCheck,
        Self::FutureTokensPass,
        Self::TokenFallsAfterRelease,
        Self::TokenFallsAfterPurge,
        Self::TokensFromTheClock,
        Self::SpareTokensGranted,
        Self::NeverExpires,
        Self::TakesLiveLeases,
        Self::HoldIsTaken,
        Self::FingerprintIgnored,
        Self::NeverResolves,
        Self::ResolverForgetsFingerprint,
        Self::PartialAcquire,
        Self::LastOccupantReported,
        Self::NoRetention,
        Self::EndlessRetention,
        Self::RetentionIsTheLease,
        Self::RemainsTooLong,
        Self::CaseInsensitive,
        Self::TrailingSpaceInsensitive,
        Self::KeyTruncatedAtNul,
        Self::ReleaseOverwritesCompletion,
        Self::CompletionOverwrites,
        Self::RenewRevivesCompletion,
        Self::AcquireNotRepeatable,
        Self::AcquireRepeatedWithNewToken,
        Self::ReleaseNotRepeatable,
        Self::CompleteNotRepeatable,
        Self::OutcomeTruncatedAtNul,
        Self::OutcomeAsText,
        Self::ErrorBecomesValue,
        Self::LateRenewalRefused,
        Self::RenewalAddsUp,
        Self::AttemptNotCounted,
        Self::FingerprintLostOnCompletion,
        Self::InterruptWaits,
        Self::ReadThenWrite,
        Self::DroppedHalfway,
        Self::AtOnceIsBlind,
        Self::AtOnceIsUnfenced,
    ];

    /// The law that it is about; others may notice it too.
    pub const fn law(self) -> &'static str {
        match self {
            Self::TakesLiveLeases
            | Self::NeverExpires
            | Self::ReadThenWrite
            | Self::AtOnceIsBlind => "exclusive",
            Self::PartialAcquire | Self::LastOccupantReported => "all or none",
            Self::TokenFallsAfterRelease
            | Self::TokenFallsAfterPurge
            | Self::TokensFromTheClock
            | Self::SpareTokensGranted => "rising",
            Self::NoTokenCheck | Self::FutureTokensPass | Self::AtOnceIsUnfenced => "fenced",
            Self::LateRenewalRefused => "successor-only",
            Self::NoRetention
            | Self::EndlessRetention
            | Self::RetentionIsTheLease
            | Self::RemainsTooLong
            | Self::ReleaseOverwritesCompletion
            | Self::CompletionOverwrites
            | Self::RenewRevivesCompletion
            | Self::FingerprintLostOnCompletion => "final",
            Self::AcquireNotRepeatable
            | Self::AcquireRepeatedWithNewToken
            | Self::ReleaseNotRepeatable
            | Self::CompleteNotRepeatable => "repeatable",
            Self::RenewalAddsUp => "store's clock",
            Self::CaseInsensitive
            | Self::TrailingSpaceInsensitive
            | Self::KeyTruncatedAtNul
            | Self::OutcomeTruncatedAtNul
            | Self::OutcomeAsText
            | Self::ErrorBecomesValue => "exact",
            Self::DroppedHalfway => "droppable",
            Self::HoldIsTaken
            | Self::FingerprintIgnored
            | Self::NeverResolves
            | Self::ResolverForgetsFingerprint
            | Self::AttemptNotCounted
            | Self::InterruptWaits => "held",
        }
    }
}
