#[with_lock(key = "order:<order>")]
#[doc = "Stays."]
#[oncely::idempotent]
#[allow(clippy::unused_async)]
async fn pay(order: u64) -> Result<(), PayError> {
    Ok(())
}

// ---- expands to ----

///Stays.
#[oncely::idempotent(@included)]
#[allow(clippy::unused_async)]
async fn pay(order: u64) -> Result<(), PayError> {
    let call = {
        let binding = ::oncely::__private::installed();
        let arguments = ::oncely::__private::Arguments::new();
        let arguments = ::oncely::__private::Counted::<()>::TYPE.add(arguments, &order);
        ::oncely::__private::idempotent(
                ::core::clone::Clone::clone(&binding),
                {
                    fn here() {}
                    ::oncely::__private::operation(::core::module_path!(), "pay", here)
                },
                ::core::option::Option::None,
            )
            .arguments(arguments.varying())
            .with_lock(
                ::oncely::__private::lock(
                    binding,
                    &[
                        &[
                            ::oncely::__private::Piece::Text("order:"),
                            ::oncely::__private::Piece::Part(&order),
                        ],
                    ],
                ),
            )
    };
    ::oncely::__private::run_idempotent(
            call,
            ::oncely::__private::replays(
                ::oncely::__private::Value::<Result<(), PayError>>::TYPE.returned(),
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
