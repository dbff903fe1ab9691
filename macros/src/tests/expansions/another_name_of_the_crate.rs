impl Till {
    #[idempotent(key = "<order>", crate = "once")]
    async fn pay(&self, order: u64) -> Result<u64, PayError> {
        self.charge(order).await
    }
}

// ---- expands to ----

impl Till {
    async fn pay(&self, order: u64) -> Result<u64, PayError> {
        let call = {
            let binding = once::__private::installed();
            let arguments = once::__private::Arguments::new();
            let arguments = once::__private::Counted::<()>::TYPE.add(arguments, &order);
            once::__private::idempotent(
                    binding,
                    {
                        fn here() {}
                        once::__private::method::<
                            Self,
                            _,
                        >(::core::module_path!(), "pay", here)
                    },
                    ::core::option::Option::Some(&[once::__private::Piece::Part(&order)]),
                )
                .arguments(arguments)
        };
        once::__private::run_idempotent(
                call,
                once::__private::replays(
                    once::__private::Value::<Result<u64, PayError>>::TYPE.returned(),
                ),
                async move {
                    if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                        Result<u64, PayError>,
                    > {
                        return never;
                    }
                    '_body: { self.charge(order).await }
                },
            )
            .await
    }
}
