#[with_lock(key = "stock:<item>", tx = tx)]
pub async fn take(tx: &mut Transaction<'_, Postgres>, item: u64) -> Result<(), TakeError> {
    less(tx, item).await
}

// ---- expands to ----

pub async fn take(
    tx: &mut Transaction<'_, Postgres>,
    item: u64,
) -> Result<(), TakeError> {
    let call = {
        let binding = ::oncely::__private::installed();
        ::oncely::__private::lock(
            binding,
            &[
                &[
                    ::oncely::__private::Piece::Text("stock:"),
                    ::oncely::__private::Piece::Part(&item),
                ],
            ],
        )
    };
    match ::oncely::__private::join_lock(
            call,
            ::oncely::__private::returns::<Result<(), TakeError>>(),
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
                            Result<(), TakeError>,
                        > {
                            return never;
                        }
                        '_body: { less(tx, item).await }
                    })
                    .await
            };
            ended
        }
    }
}
