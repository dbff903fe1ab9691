#[idempotent]
pub async fn pay(order: u64, amount: u64) -> anyhow::Result<Receipt> {
    charge(order, amount).await
}

// ---- expands to ----

pub async fn pay(order: u64, amount: u64) -> anyhow::Result<Receipt> {
    let call = {
        let binding = ::oncely::__private::installed();
        let arguments = ::oncely::__private::Arguments::new();
        let arguments = ::oncely::__private::Counted::<()>::TYPE.add(arguments, &order);
        let arguments = ::oncely::__private::Counted::<()>::TYPE.add(arguments, &amount);
        ::oncely::__private::idempotent(
                binding,
                {
                    fn here() {}
                    ::oncely::__private::operation(::core::module_path!(), "pay", here)
                },
                ::core::option::Option::None,
            )
            .arguments(arguments.varying())
    };
    ::oncely::__private::run_idempotent(
            call,
            ::oncely::__private::replays(
                ::oncely::__private::Stored::<anyhow::Result<Receipt>>::TYPE.returned(),
            ),
            async move {
                if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                    anyhow::Result<Receipt>,
                > {
                    return never;
                }
                '_body: { charge(order, amount).await }
            },
        )
        .await
}
