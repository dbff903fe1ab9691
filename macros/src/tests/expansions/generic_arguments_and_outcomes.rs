#[idempotent(key = "<id>", remember_errors)]
async fn store<T, E>(id: &str, value: T, other: Vec<u8>) -> Result<T, E>
where
    T: Serialize + DeserializeOwned,
    E: From<oncely::Error> + Serialize + DeserializeOwned,
{
    keep(id, value).await
}

// ---- expands to ----

async fn store<T, E>(id: &str, value: T, other: Vec<u8>) -> Result<T, E>
where
    T: Serialize + DeserializeOwned,
    E: From<oncely::Error> + Serialize + DeserializeOwned,
{
    let call = {
        let binding = ::oncely::__private::installed();
        ::oncely::__private::idempotent(
                &binding,
                {
                    fn here() {}
                    ::oncely::__private::operation(::core::module_path!(), "store", here)
                },
                ::core::option::Option::Some(&[::oncely::__private::Piece::Part(&id)]),
            )
            .arguments(
                ::oncely::__private::Arguments::new()
                    .with(id)
                    .with_generic(&value)
                    .with(&other),
            )
    };
    ::oncely::__private::run_idempotent(
            call,
            ::oncely::__private::replays_generic::<Result<T, E>>()
                .remembering(::oncely::__private::errors_generic::<Result<T, E>>()),
            async move {
                if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                    Result<T, E>,
                > {
                    return never;
                }
                '_body: { keep(id, value).await }
            },
        )
        .await
}
