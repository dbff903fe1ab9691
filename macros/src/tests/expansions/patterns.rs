#[idempotent(key = "<0>:<first>")]
async fn pay(
    mut order: u64,
    Json(Pair { first, second: (left, _) }): Json<Pair>,
    _: Clock,
) -> Result<u64, PayError> {
    order += left;
    Ok(order)
}

// ---- expands to ----

async fn pay(
    mut order: u64,
    Json(Pair { first, second: (left, _) }): Json<Pair>,
    _: Clock,
) -> Result<u64, PayError> {
    let call = {
        let binding = ::oncely::__private::installed();
        ::oncely::__private::idempotent(
                &binding,
                {
                    fn here() {}
                    ::oncely::__private::operation(::core::module_path!(), "pay", here)
                },
                ::core::option::Option::Some(
                    &[
                        ::oncely::__private::Piece::Part(&order),
                        ::oncely::__private::Piece::Text(":"),
                        ::oncely::__private::Piece::Part(&first),
                    ],
                ),
            )
            .arguments(
                ::oncely::__private::Arguments::new()
                    .with(&order)
                    .with(&first)
                    .with(&left),
            )
    };
    ::oncely::__private::run_idempotent(
            call,
            ::oncely::__private::replays::<Result<u64, PayError>>(),
            async move {
                if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                    Result<u64, PayError>,
                > {
                    return never;
                }
                '_body: {
                    order += left;
                    Ok(order)
                }
            },
        )
        .await
}
