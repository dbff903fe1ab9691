#[idempotent(key = "pay:<order>", begin(tx = self.pool))]
#[with_lock(key = "stock:<order>")]
pub async fn pay(&self, order: u64) -> Result<Receipt, PayError> {
    charge(tx, order).await
}

// ---- expands to ----

#[with_lock(@included)]
pub async fn pay(&self, order: u64) -> Result<Receipt, PayError> {
    let call = {
        let binding = ::oncely::__private::installed();
        let arguments = ::oncely::__private::Arguments::new();
        let arguments = ::oncely::__private::Counted::<()>::TYPE.add(arguments, &order);
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
                        ::oncely::__private::Piece::Part(&order),
                    ],
                ),
            )
            .arguments(arguments)
            .with_lock(
                ::oncely::__private::lock(
                    binding,
                    &[
                        &[
                            ::oncely::__private::Piece::Text("stock:"),
                            ::oncely::__private::Piece::Part(&order),
                        ],
                    ],
                ),
            )
    };
    let pool = ::oncely::__private::pool(&(self.pool));
    match ::oncely::__private::begin_idempotent(
            call,
            ::oncely::__private::replays(
                ::oncely::__private::Stored::<Result<Receipt, PayError>>::TYPE.returned(),
            ),
            pool,
        )
        .await
    {
        ::oncely::__private::Next::Answer(answer) => answer,
        ::oncely::__private::Next::Run(mut begun) => {
            let ended = {
                #[allow(unused_variables)]
                let (runner, tx) = begun.parts();
                runner
                    .run(async move {
                        if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                            Result<Receipt, PayError>,
                        > {
                            return never;
                        }
                        '_body: { charge(tx, order).await }
                    })
                    .await
            };
            begun.commit(ended).await
        }
    }
}
