#[idempotent(key = "pay:<order>", tx = tx)]
pub async fn pay(tx: &mut Transaction<'_, Postgres>, order: u64) -> Result<Receipt, PayError> {
    charge(tx, order).await
}

// ---- expands to ----

pub async fn pay(
    tx: &mut Transaction<'_, Postgres>,
    order: u64,
) -> Result<Receipt, PayError> {
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
                ::core::option::Option::Some(
                    &[
                        ::oncely::__private::Piece::Text("pay:"),
                        ::oncely::__private::Piece::Part(&order),
                    ],
                ),
            )
            .arguments(arguments)
    };
    match ::oncely::__private::join_idempotent(
            call,
            ::oncely::__private::replays(
                ::oncely::__private::Stored::<Result<Receipt, PayError>>::TYPE.returned(),
            ),
            ::oncely::__private::transaction(&mut *tx),
        )
        .await
    {
        ::oncely::__private::Next::Answer(answer) => answer,
        ::oncely::__private::Next::Run(joined) => {
            let ended = {
                #[allow(unused_variables)]
                let tx = &mut *tx;
                joined
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
            joined.end(::oncely::__private::transaction(&mut *tx), ended).await
        }
    }
}
