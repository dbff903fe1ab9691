#[with_lock(key = "nightly")]
async fn report() -> Result<(), ReportError> {
    #![allow(unused_variables)]
    let rows = rows().await?;
    Ok(())
}

// ---- expands to ----

async fn report() -> Result<(), ReportError> {
    #![allow(unused_variables)]
    let call = {
        let binding = ::oncely::__private::installed();
        ::oncely::__private::lock(
            binding,
            &[&[::oncely::__private::Piece::Text("nightly")]],
        )
    };
    ::oncely::__private::run_lock(
            call,
            ::oncely::__private::returns::<Result<(), ReportError>>(),
            async move {
                if let ::core::option::Option::Some(never) = ::core::option::Option::None::<
                    Result<(), ReportError>,
                > {
                    return never;
                }
                '_body: {
                    let rows = rows().await?;
                    Ok(())
                }
            },
        )
        .await
}
