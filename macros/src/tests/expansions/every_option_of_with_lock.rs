#[with_lock(
    keys = ["account:<from>", "account:<to>"],
    lease = "10s",
    max_hold = "1m",
    wait = "0s",
    on_busy = "skip",
    on_store_error = "run",
    coordinator = COORDINATOR,
)]
async fn transfer(from: Account, to: Account) -> Result<Option<Receipt>, TransferError> {
    Ok(None)
}

// ---- expands to ----

async fn transfer(from: Account, to: Account) -> Result<Option<Receipt>, TransferError> {
    let call = {
        let binding = match &(COORDINATOR) {
            coordinator => ::oncely::__private::given(coordinator),
        };
        ::oncely::__private::lock(
                binding,
                &[
                    &[
                        ::oncely::__private::Piece::Text("account:"),
                        ::oncely::__private::Piece::Part(&from),
                    ],
                    &[
                        ::oncely::__private::Piece::Text("account:"),
                        ::oncely::__private::Piece::Part(&to),
                    ],
                ],
            )
            .lease(::core::time::Duration::from_secs(10u64))
            .max_hold(::core::time::Duration::from_secs(60u64))
            .wait(::core::time::Duration::from_secs(0u64))
            .on_store_error(::oncely::__private::OnStoreError::Run)
    };
    ::oncely::__private::run_lock(
            call,
            ::oncely::__private::returns::<Result<Option<Receipt>, TransferError>>()
                .skipping(
                    ::oncely::__private::skipped::<
                        Result<Option<Receipt>, TransferError>,
                    >(),
                ),
            async move {
                if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                    Result<Option<Receipt>, TransferError>,
                > {
                    return never;
                }
                '_body: { Ok(None) }
            },
        )
        .await
}
