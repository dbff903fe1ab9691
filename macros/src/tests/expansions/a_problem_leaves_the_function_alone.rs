#[with_lock(key = "order:<order_di>")]
#[idempotent(retension = "1h")]
#[must_use]
async fn pay(order_id: u64) -> Result<(), PayError> {
    Ok(())
}

// ---- expands to ----

::core::compile_error! {
    "`retension` is not an option of `#[idempotent]`\n= help: did you mean `retention`? the options are `key`, `operation`, `skip`, `retention`, `lease`, `max_hold`, `wait`, `remember_errors`, `on_interrupted`, `on_store_error`, `detached`, `tx`, `begin`, `scope`, `coordinator`, `crate`"
}
::core::compile_error! {
    "`<order_di>` is not an argument of `pay`\n= help: did you mean `<order_id>`? the arguments are `order_id`"
}
#[idempotent(@included)]
#[must_use]
async fn pay(order_id: u64) -> Result<(), PayError> {
    Ok(())
}
