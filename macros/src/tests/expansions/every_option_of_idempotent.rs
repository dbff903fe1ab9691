#[idempotent(
    key = "pay:<order>",
    operation = "payments.pay",
    skip(clock),
    retention = "7d",
    lease = "1m30s",
    max_hold = "10m",
    wait = "250ms",
    remember_errors = PayError::is_final,
    on_interrupted = "hold",
    on_store_error = "run",
    scope = "<tenant>",
    coordinator = clock.coordinator(),
)]
async fn pay(tenant: String, order: u64, clock: Clock) -> Result<(), PayError> {
    Ok(())
}

// ---- expands to ----

async fn pay(tenant: String, order: u64, clock: Clock) -> Result<(), PayError> {
    let call = {
        let binding = match &(clock.coordinator()) {
            coordinator => ::oncely::__private::given(coordinator),
        };
        let arguments = ::oncely::__private::Arguments::new();
        let arguments = ::oncely::__private::Counted::<()>::TYPE.add(arguments, &tenant);
        let arguments = ::oncely::__private::Counted::<()>::TYPE.add(arguments, &order);
        ::oncely::__private::idempotent(
                binding,
                ::oncely::__private::named("payments.pay"),
                ::core::option::Option::Some(
                    &[
                        ::oncely::__private::Piece::Text("pay:"),
                        ::oncely::__private::Piece::Part(&order),
                    ],
                ),
            )
            .arguments(arguments)
            .scoped(&[::oncely::__private::Piece::Part(&tenant)])
            .retention(::core::time::Duration::from_secs(604800u64))
            .lease(::core::time::Duration::from_secs(90u64))
            .max_hold(::core::time::Duration::from_secs(600u64))
            .wait(::core::time::Duration::from_millis(250u64))
            .on_store_error(::oncely::__private::OnStoreError::Run)
            .on_interrupted(::oncely::__private::OnInterrupted::Hold)
    };
    ::oncely::__private::run_idempotent(
            call,
            ::oncely::__private::replays(
                    ::oncely::__private::Value::<Result<(), PayError>>::TYPE.returned(),
                )
                .remembering(
                    ::oncely::__private::errors::<Result<(), PayError>>()
                        .only(PayError::is_final),
                ),
            async move {
                if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                    Result<(), PayError>,
                > {
                    return never;
                }
                '_body: { Ok(()) }
            },
        )
        .await
}
