#[with_lock(key = "nightly report", wait = "0s", on_busy = "skip")]
async fn report() -> Result<Option<Report>, ReportError> {
    make().await
}

// ---- expands to ----

async fn report() -> Result<Option<Report>, ReportError> {
    let call = {
        let binding = ::oncely::__private::installed();
        ::oncely::__private::lock(
                binding,
                &[&[::oncely::__private::Piece::Text("nightly report")]],
            )
            .wait(::core::time::Duration::from_secs(0u64))
    };
    ::oncely::__private::run_lock(
            call,
            ::oncely::__private::returns::<Result<Option<Report>, ReportError>>()
                .skipping(
                    ::oncely::__private::skipped::<Result<Option<Report>, ReportError>>(),
                ),
            async move {
                if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                    Result<Option<Report>, ReportError>,
                > {
                    return never;
                }
                '_body: { make().await }
            },
        )
        .await
}
