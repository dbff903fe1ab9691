impl<'store, T: Item, const N: usize> Shelf<'store, T, N> {
    #[with_lock(key = "shelf:<self.id>:<1.name>")]
    async fn put<'item, I>(
        self: Arc<Self>,
        items: &'item [I; N],
        label: impl Label,
    ) -> Result<impl Iterator<Item = T>, ShelfError>
    where
        I: Into<T>,
    {
        self.insert(items, label).await
    }
}

// ---- expands to ----

impl<'store, T: Item, const N: usize> Shelf<'store, T, N> {
    async fn put<'item, I>(
        self: Arc<Self>,
        items: &'item [I; N],
        label: impl Label,
    ) -> Result<impl Iterator<Item = T>, ShelfError>
    where
        I: Into<T>,
    {
        let call = {
            let binding = ::oncely::__private::installed();
            ::oncely::__private::lock(
                binding,
                &[
                    &[
                        ::oncely::__private::Piece::Text("shelf:"),
                        ::oncely::__private::Piece::Part(&self.id),
                        ::oncely::__private::Piece::Text(":"),
                        ::oncely::__private::Piece::Part(&label.name),
                    ],
                ],
            )
        };
        ::oncely::__private::run_lock(
                call,
                ::oncely::__private::returns::<Result<_, ShelfError>>(),
                async move {
                    if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                        Result<_, ShelfError>,
                    > {
                        return never;
                    }
                    '_body: { self.insert(items, label).await }
                },
            )
            .await
    }
}
