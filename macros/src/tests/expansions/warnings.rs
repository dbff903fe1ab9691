#[idempotent]
#[with_lock(key = "ledger")]
async fn book(tags: HashSet<String>) -> Result<u64, BookError> {
    write(tags).await
}

// ---- expands to ----

#[with_lock(@included)]
async fn book(tags: HashSet<String>) -> Result<u64, BookError> {
    const _: () = {
        #[deprecated(
            note = "this key names no argument, so all calls of `book` wait for each other; name what they share, such as `<tags>` (the arguments are `tags`), or write `constant` beside the key if it is meant so"
        )]
        const CONSTANT_LOCK_KEY: () = ();
        CONSTANT_LOCK_KEY
    };
    const _: () = {
        #[deprecated(
            note = "a `HashSet` has another order in every process, and so has the fingerprint of `tags`: a repeated call may run again; take a `BTreeSet`, or write `skip(tags)`"
        )]
        const ARGUMENT_WITHOUT_ORDER: () = ();
        ARGUMENT_WITHOUT_ORDER
    };
    let call = {
        let binding = ::oncely::__private::installed();
        let arguments = ::oncely::__private::Arguments::new();
        let arguments = ::oncely::__private::Argument::<HashSet<String>>::TYPE
            .add(arguments, &tags);
        ::oncely::__private::idempotent(
                ::core::clone::Clone::clone(&binding),
                {
                    fn here() {}
                    ::oncely::__private::operation(::core::module_path!(), "book", here)
                },
                ::core::option::Option::None,
            )
            .arguments(arguments.varying())
            .with_lock(
                ::oncely::__private::lock(
                    binding,
                    &[&[::oncely::__private::Piece::Text("ledger")]],
                ),
            )
    };
    ::oncely::__private::run_idempotent(
            call,
            ::oncely::__private::replays(
                ::oncely::__private::Value::<Result<u64, BookError>>::TYPE.returned(),
            ),
            async move {
                if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                    Result<u64, BookError>,
                > {
                    return never;
                }
                '_body: { write(tags).await }
            },
        )
        .await
}
