impl Payments {
#[idempotent(key = "pay:<request.id>")]
#[with_lock(key = "order:<request.order_id>", wait = "2s")]
async fn pay(&self, request: PayRequest) -> Result<Receipt, PayError> {
    self.gateway.charge(&request).await
}
}

// ---- expands to ----

impl Payments {
    #[with_lock(@included)]
    async fn pay(&self, request: PayRequest) -> Result<Receipt, PayError> {
        let call = {
            let binding = ::oncely::__private::installed();
            let arguments = ::oncely::__private::Arguments::new();
            let arguments = ::oncely::__private::Argument::<PayRequest>::TYPE
                .add(arguments, &request);
            ::oncely::__private::idempotent(
                    ::core::clone::Clone::clone(&binding),
                    {
                        fn here() {}
                        ::oncely::__private::method::<
                            Self,
                            _,
                        >(::core::module_path!(), "pay", here)
                    },
                    ::core::option::Option::Some(
                        &[
                            ::oncely::__private::Piece::Text("pay:"),
                            ::oncely::__private::Piece::Part(&request.id),
                        ],
                    ),
                )
                .arguments(arguments)
                .with_lock(
                    ::oncely::__private::lock(
                            binding,
                            &[
                                &[
                                    ::oncely::__private::Piece::Text("order:"),
                                    ::oncely::__private::Piece::Part(&request.order_id),
                                ],
                            ],
                        )
                        .wait(::core::time::Duration::from_secs(2u64)),
                )
        };
        ::oncely::__private::run_idempotent(
                call,
                ::oncely::__private::replays(
                    ::oncely::__private::Stored::<Result<Receipt, PayError>>::TYPE
                        .returned(),
                ),
                async move {
                    if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                        Result<Receipt, PayError>,
                    > {
                        return never;
                    }
                    '_body: { self.gateway.charge(&request).await }
                },
            )
            .await
    }
}
