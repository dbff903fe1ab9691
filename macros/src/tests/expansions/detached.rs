#[idempotent(detached, remember_errors)]
async fn pay(order: u64) -> Result<Receipt, PayError> {
    charge(order).await
}

// ---- expands to ----

async fn pay(order: u64) -> Result<Receipt, PayError> {
    let call = {
        let binding = ::oncely::__private::installed();
        let arguments = ::oncely::__private::Arguments::new();
        let arguments = ::oncely::__private::Counted::<()>::TYPE.add(arguments, &order);
        ::oncely::__private::idempotent(
                binding,
                {
                    fn here() {}
                    ::oncely::__private::operation(::core::module_path!(), "pay", here)
                },
                ::core::option::Option::None,
            )
            .arguments(arguments.varying())
    };
    ::oncely::__private::run_idempotent_detached(
            call,
            ::oncely::__private::replays(
                    ::oncely::__private::Stored::<Result<Receipt, PayError>>::TYPE
                        .returned(),
                )
                .remembering(::oncely::__private::errors::<Result<Receipt, PayError>>()),
            async move {
                if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                    Result<Receipt, PayError>,
                > {
                    return never;
                }
                '_body: { charge(order).await }
            },
        )
        .await
}
