//! The body between a claim and its outcome, both in one transaction.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::Expr;
use syn::spanned::Spanned;

use super::call::renamed;
use crate::check::{Guarded, Transaction, Work};

/// What stands where the body stood.
///
/// ```text
/// match join_idempotent(call, answers, transaction(&mut *tx)).await {
///     Next::Answer(answer) => answer,
///     Next::Run(joined) => {
///         let ended = { let tx = &mut *tx; joined.run(async move { body }).await };
///         joined.end(transaction(&mut *tx), ended).await
///     }
/// }
/// ```
pub(super) fn run(
    guarded: &Guarded<'_>,
    transaction: &Transaction,
    answers: &TokenStream,
    body: &TokenStream,
) -> TokenStream {
    match (transaction, &guarded.plan.work) {
        (Transaction::Joins(tx), Work::Once(..)) => joined(guarded, tx, answers, body, true),
        (Transaction::Joins(tx), Work::Exclusive(_)) => joined(guarded, tx, answers, body, false),
        (Transaction::Begins(tx, pool), _) => begun(guarded, tx, pool, answers, body),
    }
}

fn joined(
    guarded: &Guarded<'_>,
    tx: &Ident,
    answers: &TokenStream,
    body: &TokenStream,
    has_outcome: bool,
) -> TokenStream {
    let span = Span::mixed_site();
    let door = &guarded.plan.door;
    let join = Ident::new(if has_outcome { "join_idempotent" } else { "join_lock" }, span);
    let given = given(guarded, tx);
    let end = match has_outcome {
        true => quote_spanned!(span=> joined.end(#given, ended).await),
        false => quote_spanned!(span=> ended),
    };
    quote_spanned! {span=>
        match #door::#join(call, #answers, #given).await {
            #door::Next::Answer(answer) => answer,
            #door::Next::Run(joined) => {
                let ended = {
                    #[allow(unused_variables)]
                    let #tx = &mut *#tx;
                    joined.run(async move { #body }).await
                };
                #end
            }
        }
    }
}

/// What is no transaction is underlined where it is named.
fn given(guarded: &Guarded<'_>, tx: &Ident) -> TokenStream {
    let place = Span::mixed_site().located_at(tx.span());
    let door = guarded.plan.door.at(place);
    quote_spanned!(place=> #door::transaction(&mut *#tx))
}

fn begun(
    guarded: &Guarded<'_>,
    tx: &Ident,
    pool: &Expr,
    answers: &TokenStream,
    body: &TokenStream,
) -> TokenStream {
    let span = Span::mixed_site();
    let door = &guarded.plan.door;
    let place = span.located_at(pool.span());
    let pool = renamed(pool.to_token_stream(), guarded.function);
    let given = {
        let door = guarded.plan.door.at(place);
        quote_spanned!(place=> #door::pool(&(#pool)))
    };
    quote_spanned! {span=>
        let pool = #given;
        match #door::begin_idempotent(call, #answers, pool).await {
            #door::Next::Answer(answer) => answer,
            #door::Next::Run(mut begun) => {
                let ended = {
                    #[allow(unused_variables)]
                    let (runner, #tx) = begun.parts();
                    runner.run(async move { #body }).await
                };
                begun.commit(ended).await
            }
        }
    }
}
