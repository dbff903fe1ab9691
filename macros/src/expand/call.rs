//! The expression that says what is to be run: bindings, keys, arguments, options.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, LitStr};

use crate::check::{Door, Exclusive, Fingerprinted, Guarded, Key, Limits, Once, Piece, Work};
use crate::model::{Duration, Function};

/// The content of the block that makes the call. Whatever it borrows of the arguments is given
/// back when the block ends, before anything is awaited.
pub(super) fn call(guarded: &Guarded<'_>) -> TokenStream {
    let span = Span::mixed_site();
    let door = &guarded.plan.door;
    let function = guarded.function;
    let binding = binding(door, function, guarded.plan.coordinator.as_ref());
    let call = match &guarded.plan.work {
        Work::Exclusive(lock) => exclusive(door, lock),
        Work::Once(once, lock) => self::once(door, function, once, lock.as_ref()),
    };
    quote_spanned! {span=>
        let binding = #binding;
        #call
    }
}

fn binding(door: &Door, function: &Function, coordinator: Option<&Expr>) -> TokenStream {
    let span = Span::mixed_site();
    match coordinator {
        None => quote_spanned!(span=> #door::installed()),
        Some(expr) => {
            let tokens = renamed(expr.to_token_stream(), function);
            let reference = quote_spanned!(span.located_at(expr.span())=> &(#tokens));
            let given = Ident::new("coordinator", span.located_at(expr.span()));
            // A `match` keeps what the expression borrows for as long as the call needs it, and
            // leaves its type open for `given` to borrow from whatever it is.
            quote_spanned! {span=>
                match #reference { coordinator => #door::given(#given) }
            }
        }
    }
}

/// `self` under the name by which `#[async_trait]` makes it known to the body.
pub(super) fn renamed(tokens: TokenStream, function: &Function) -> TokenStream {
    let Some(receiver) = function.receiver.as_ref().filter(|it| it.name != "self") else {
        return tokens;
    };
    let rename = |token: TokenTree| match token {
        TokenTree::Ident(ident) if ident == "self" => {
            let mut name = receiver.name.clone();
            name.set_span(name.span().located_at(ident.span()));
            name.into()
        }
        TokenTree::Group(group) => {
            let mut renamed = Group::new(group.delimiter(), renamed(group.stream(), function));
            renamed.set_span(group.span());
            renamed.into()
        }
        other => other,
    };
    tokens.into_iter().map(rename).collect()
}

fn once(door: &Door, function: &Function, once: &Once, lock: Option<&Exclusive>) -> TokenStream {
    let span = Span::mixed_site();
    let operation = operation(door, function, once.operation.as_ref());
    let key = match &once.key {
        Some(key) => {
            let pieces = pieces(door, key);
            quote_spanned!(span=> ::core::option::Option::Some(&#pieces))
        }
        None => quote_spanned!(span=> ::core::option::Option::None),
    };
    // Where nothing else tells one call from another, the arguments must; if they do not, that is
    // said at the name of the function.
    let only_arguments = once.key.is_none() && once.scope.is_none();
    let varying = only_arguments.then_some(&function.signature.ident);
    let arguments = arguments(door, &once.arguments);
    let varying = varying.map(|name| {
        let varying = Ident::new("varying", span.located_at(name.span()));
        quote_spanned!(span=> .#varying())
    });
    let scope = once.scope.iter().map(|scope| {
        let pieces = pieces(door, scope);
        quote_spanned!(span=> .scoped(&#pieces))
    });
    let retention = once.retention.iter().map(|it| duration("retention", it));
    let limits = limits(door, &once.limits);
    let hold = once
        .hold_when_interrupted
        .then(|| quote_spanned!(span=> .on_interrupted(#door::OnInterrupted::Hold)));
    // Whoever comes last has the binding.
    let binding = match lock {
        Some(_) => quote_spanned!(span=> ::core::clone::Clone::clone(&binding)),
        None => quote_spanned!(span=> binding),
    };
    let lock = lock.map(|lock| {
        let lock = exclusive(door, lock);
        quote_spanned!(span=> .with_lock(#lock))
    });
    quote_spanned! {span=>
        #arguments
        #door::idempotent(#binding, #operation, #key)
            .arguments(arguments #varying)
            #(#scope)*
            #(#retention)*
            #limits
            #hold
            #lock
    }
}

/// The name of the operation: as written, or made by the runtime from the module, the function,
/// and the path of an item inside it, which knows the type and the trait around it.
fn operation(door: &Door, function: &Function, operation: Option<&LitStr>) -> TokenStream {
    let span = Span::mixed_site();
    if let Some(name) = operation {
        return quote_spanned!(span=> #door::named(#name));
    }
    let ident = function.signature.ident.to_string();
    let name = LitStr::new(ident.strip_prefix("r#").unwrap_or(&ident), span);
    let maker = match &function.receiver {
        Some(_) => quote_spanned!(span=> method::<Self, _>),
        None => quote_spanned!(span=> operation),
    };
    quote_spanned! {span=>
        {
            fn here() {}
            #door::#maker(::core::module_path!(), #name, here)
        }
    }
}

/// One statement for each argument: a statement can be there or not by `#[cfg(…)]`, and a part of an
/// expression cannot.
fn arguments(door: &Door, arguments: &[Fingerprinted]) -> TokenStream {
    let span = Span::mixed_site();
    let statements = arguments.iter().map(|argument| {
        let conditions = &argument.conditions;
        let added = added(door, argument);
        quote_spanned!(span=> #(#conditions)* let arguments = #added;)
    });
    quote_spanned! {span=>
        let arguments = #door::Arguments::new();
        #(#statements)*
    }
}

/// An argument that cannot be fingerprinted is underlined where it is declared.
fn added(door: &Door, argument: &Fingerprinted) -> TokenStream {
    let span = Span::mixed_site();
    let name = &argument.name;
    let borrow = (!argument.is_reference).then(|| {
        let place = span.located_at(name.span());
        quote_spanned!(place=> &)
    });
    let part = match &argument.ty {
        Some(ty) if argument.is_whole => quote_spanned!(span=> Argument::<#ty>),
        Some(ty) => quote_spanned!(span=> PartOf::<#ty>),
        None => quote_spanned!(span=> Counted::<()>),
    };
    let add = Ident::new(if argument.is_generic { "add_generic" } else { "add" }, span);
    quote_spanned!(span=> #door::#part::TYPE.#add(arguments, #borrow #name))
}

fn exclusive(door: &Door, lock: &Exclusive) -> TokenStream {
    let span = Span::mixed_site();
    let keys = lock.keys.iter().map(|key| pieces(door, key));
    let limits = limits(door, &lock.limits);
    quote_spanned! {span=>
        #door::lock(binding, &[#(&#keys),*]) #limits
    }
}

fn limits(door: &Door, limits: &Limits) -> TokenStream {
    let span = Span::mixed_site();
    let lease = limits.lease.iter().map(|it| duration("lease", it));
    let max_hold = limits.max_hold.iter().map(|it| duration("max_hold", it));
    let wait = limits.wait.iter().map(|it| duration("wait", it));
    let run = limits
        .run_without_store
        .then(|| quote_spanned!(span=> .on_store_error(#door::OnStoreError::Run)));
    quote_spanned!(span=> #(#lease)* #(#max_hold)* #(#wait)* #run)
}

fn duration(method: &str, duration: &Duration) -> TokenStream {
    let span = Span::mixed_site();
    let method = Ident::new(method, span);
    let milliseconds = duration.milliseconds;
    let length = match milliseconds % 1_000 {
        0 => {
            let seconds = milliseconds / 1_000;
            quote_spanned!(span=> from_secs(#seconds))
        }
        _ => quote_spanned!(span=> from_millis(#milliseconds)),
    };
    quote_spanned!(span=> .#method(::core::time::Duration::#length))
}

fn pieces(door: &Door, key: &Key) -> TokenStream {
    let span = Span::mixed_site();
    let pieces = key.pieces.iter().map(|piece| match piece {
        Piece::Text(text) => quote_spanned!(span=> #door::Piece::Text(#text)),
        // What cannot stand in a key is underlined in the template.
        Piece::Part { place, literal } => {
            let reference = quote_spanned!(span.located_at(*literal)=> &#place);
            quote_spanned!(span=> #door::Piece::Part(#reference))
        }
    });
    quote_spanned!(span=> [#(#pieces),*])
}
