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
        let arguments = ::oncely::__private::Arguments::new();
        let arguments = ::oncely::__private::Counted::<()>::TYPE.add(arguments, id);
        let arguments = ::oncely::__private::Argument::<T>::TYPE
            .add_generic(arguments, &value);
        let arguments = ::oncely::__private::Argument::<Vec<u8>>::TYPE
            .add(arguments, &other);
        ::oncely::__private::idempotent(
                binding,
                {
                    fn here() {}
                    ::oncely::__private::operation(::core::module_path!(), "store", here)
                },
                ::core::option::Option::Some(&[::oncely::__private::Piece::Part(&id)]),
            )
            .arguments(arguments)
    };
    ::oncely::__private::run_idempotent(
            call,
            ::oncely::__private::replays_generic(
                    ::oncely::__private::Stored::<Result<T, E>>::TYPE.returned(),
                )
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
