#[idempotent(key = "<order>")]
async fn pay(order: u64, #[cfg(feature = "notes")] note: &str) -> Result<u64, PayError> {
    charge(order).await
}

// ---- expands to ----

async fn pay(order: u64, #[cfg(feature = "notes")] note: &str) -> Result<u64, PayError> {
    let call = {
        let binding = ::oncely::__private::installed();
        let arguments = ::oncely::__private::Arguments::new();
        let arguments = ::oncely::__private::Counted::<()>::TYPE.add(arguments, &order);
        #[cfg(feature = "notes")]
        let arguments = ::oncely::__private::Counted::<()>::TYPE.add(arguments, note);
        ::oncely::__private::idempotent(
                binding,
                {
                    fn here() {}
                    ::oncely::__private::operation(::core::module_path!(), "pay", here)
                },
                ::core::option::Option::Some(&[::oncely::__private::Piece::Part(&order)]),
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
                '_body: { charge(order).await }
            },
        )
        .await
}
