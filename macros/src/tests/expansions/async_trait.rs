impl Payments for Gateway {
    #[idempotent(key = "<self.tenant>:<id>", coordinator = &self.coordinator)]
    fn pay<'life0, 'async_trait>(
        &'life0 self,
        __arg1: Json<Request>,
        note: String,
    ) -> ::core::pin::Pin<
        Box<dyn ::core::future::Future<Output = Result<Receipt, PayError>> + ::core::marker::Send + 'async_trait>,
    >
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            if let ::core::option::Option::Some(__ret) =
                ::core::option::Option::None::<Result<Receipt, PayError>>
            {
                #[allow(unreachable_code)]
                return __ret;
            }
            let __self = self;
            let Json(Request { id }) = {
                let __arg1 = __arg1;
                __arg1
            };
            let mut note = note;
            let __ret: Result<Receipt, PayError> = {
                note.push('!');
                __self.charge(id, note).await
            };
            #[allow(unreachable_code)]
            __ret
        })
    }
}

// ---- expands to ----

impl Payments for Gateway {
    fn pay<'life0, 'async_trait>(
        &'life0 self,
        __arg1: Json<Request>,
        note: String,
    ) -> ::core::pin::Pin<
        Box<
            dyn ::core::future::Future<
                Output = Result<Receipt, PayError>,
            > + ::core::marker::Send + 'async_trait,
        >,
    >
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            if let ::core::option::Option::Some(__ret) = ::core::option::Option::None::<
                Result<Receipt, PayError>,
            > {
                #[allow(unreachable_code)] return __ret;
            }
            let __self = self;
            let Json(Request { id }) = {
                let __arg1 = __arg1;
                __arg1
            };
            let mut note = note;
            let __ret: Result<Receipt, PayError> = {
                let call = {
                    let binding = match &(&__self.coordinator) {
                        coordinator => ::oncely::__private::given(coordinator),
                    };
                    let arguments = ::oncely::__private::Arguments::new();
                    let arguments = ::oncely::__private::PartOf::<Json<Request>>::TYPE
                        .add(arguments, &id);
                    let arguments = ::oncely::__private::Counted::<()>::TYPE
                        .add(arguments, &note);
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
                                    ::oncely::__private::Piece::Part(&__self.tenant),
                                    ::oncely::__private::Piece::Text(":"),
                                    ::oncely::__private::Piece::Part(&id),
                                ],
                            ),
                        )
                        .arguments(arguments)
                };
                ::oncely::__private::run_idempotent(
                        call,
                        ::oncely::__private::replays(
                            ::oncely::__private::Stored::<
                                Result<Receipt, PayError>,
                            >::TYPE
                                .returned(),
                        ),
                        async move {
                            if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                                Result<Receipt, PayError>,
                            > {
                                return never;
                            }
                            '_body: {
                                note.push('!');
                                __self.charge(id, note).await
                            }
                        },
                    )
                    .await
            };
            #[allow(unreachable_code)] __ret
        })
    }
}
