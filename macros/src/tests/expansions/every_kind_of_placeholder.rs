impl Till {
    #[idempotent(key = "a:<self.id>:<0>:<request.order.no>:<1.pair.0>:<<>>", scope = "<user.r#type>")]
    async fn pay(&self, r#type: u64, request: Request, user: User) -> Result<u64, PayError> {
        self.charge(request).await
    }
}

// ---- expands to ----

impl Till {
    async fn pay(
        &self,
        r#type: u64,
        request: Request,
        user: User,
    ) -> Result<u64, PayError> {
        let call = {
            let binding = ::oncely::__private::installed();
            let arguments = ::oncely::__private::Arguments::new();
            let arguments = ::oncely::__private::Counted::<()>::TYPE
                .add(arguments, &r#type);
            let arguments = ::oncely::__private::Argument::<Request>::TYPE
                .add(arguments, &request);
            let arguments = ::oncely::__private::Argument::<User>::TYPE
                .add(arguments, &user);
            ::oncely::__private::idempotent(
                    binding,
                    {
                        fn here() {}
                        ::oncely::__private::method::<
                            Self,
                            _,
                        >(::core::module_path!(), "pay", here)
                    },
                    ::core::option::Option::Some(
                        &[
                            ::oncely::__private::Piece::Text("a:"),
                            ::oncely::__private::Piece::Part(&self.id),
                            ::oncely::__private::Piece::Text(":"),
                            ::oncely::__private::Piece::Part(&r#type),
                            ::oncely::__private::Piece::Text(":"),
                            ::oncely::__private::Piece::Part(&request.order.no),
                            ::oncely::__private::Piece::Text(":"),
                            ::oncely::__private::Piece::Part(&request.pair.0),
                            ::oncely::__private::Piece::Text(":<>"),
                        ],
                    ),
                )
                .arguments(arguments)
                .scoped(&[::oncely::__private::Piece::Part(&user.r#type)])
        };
        ::oncely::__private::run_idempotent(
                call,
                ::oncely::__private::replays(
                    ::oncely::__private::Value::<Result<u64, PayError>>::TYPE.returned(),
                ),
                async move {
                    if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                        Result<u64, PayError>,
                    > {
                        return never;
                    }
                    '_body: { self.charge(request).await }
                },
            )
            .await
    }
}
