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
            once::__private::idempotent(
                    &binding,
                    {
                        fn here() {}
                        once::__private::method::<
                            Self,
                            _,
                        >(::core::module_path!(), "pay", here)
                    },
                    ::core::option::Option::Some(&[once::__private::Piece::Part(&order)]),
                )
                .arguments(once::__private::Arguments::new().with(&order))
        };
        once::__private::run_idempotent(
                call,
                once::__private::replays::<Result<u64, PayError>>(),
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
