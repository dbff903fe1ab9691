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
        let arguments = ::oncely::__private::Arguments::new();
        let arguments = ::oncely::__private::Counted::<()>::TYPE.add(arguments, &order);
        let arguments = ::oncely::__private::PartOf::<Json<Pair>>::TYPE
            .add(arguments, &first);
        let arguments = ::oncely::__private::PartOf::<Json<Pair>>::TYPE
            .add(arguments, &left);
        ::oncely::__private::idempotent(
                binding,
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
            .arguments(arguments)
    };
    ::oncely::__private::run_idempotent(
            call,
            ::oncely::__private::replays(
                ::oncely::__private::Value::<Result<u64, PayError>>::TYPE.returned(),
            ),
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
