//! From a checked plan to tokens. Nothing here can fail.

mod call;
mod key_part;
mod transaction;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericArgument, Lifetime, PathArguments, Type, TypeInfer};

use crate::check::{Guarded, Warning, Work};
use crate::model::{Body, Boxed, Function};

pub(crate) use key_part::key_part;

/// The function with its body guarded.
///
/// ```text
/// async fn pay(request: Request) -> Result<Receipt, Error> { body }
/// ```
/// becomes
/// ```text
/// async fn pay(request: Request) -> Result<Receipt, Error> {
///     let call = { … };
///     ::oncely::__private::run_idempotent(
///         call,
///         ::oncely::__private::replays(…),
///         async move { body },
///     )
///     .await
/// }
/// ```
pub(crate) fn guarded(guarded: &Guarded<'_>) -> TokenStream {
    with_body(guarded.function, |body| filled(body, guard(guarded, body)))
}

/// The function as it was, without our attributes.
pub(crate) fn untouched(function: &Function) -> TokenStream {
    with_body(function, Group::clone)
}

/// The function with another body where its own stands.
fn with_body(function: &Function, change: impl FnOnce(&Group) -> Group) -> TokenStream {
    let Function { attributes, visibility, signature, inner_attributes, body, .. } = function;
    let body = match body {
        Body::None => return quote!(#(#attributes)* #visibility #signature;),
        Body::Async(body, _) | Body::Sync(body) => change(body),
        Body::Boxed(boxed) => rewrapped(boxed, change(&boxed.body)),
    };
    let stream = body.stream();
    let body = filled(&body, quote!(#(#inner_attributes)* #stream));
    quote!(#(#attributes)* #visibility #signature #body)
}

/// Puts the layers back around a boxed body.
fn rewrapped(boxed: &Boxed, body: Group) -> Group {
    boxed.layers.iter().rev().fold(body, |inner, layer| {
        let (before, after) = (&layer.before, &layer.after);
        let mut group = Group::new(layer.delimiter, quote!(#before #inner #after));
        group.set_span(layer.span);
        group
    })
}

/// Braces with other content at the place of `old`, so that errors about the end of the body
/// still point at it.
fn filled(old: &Group, content: TokenStream) -> Group {
    let mut group = Group::new(Delimiter::Brace, content);
    group.set_span(old.span());
    group
}

/// The statements that take the place of the body.
fn guard(guarded: &Guarded<'_>, body: &Group) -> TokenStream {
    // Locals of these spans are invisible to the body.
    let span = Span::mixed_site();
    let call = call::call(guarded);
    let returns = erased(&guarded.plan.returns);
    let door = &guarded.plan.door;
    let (runner, answers) = runner(guarded, &returns);
    let body = typed(&returns, body);
    let warnings = guarded.plan.warnings.iter().map(warning);
    let run = match &guarded.plan.transaction {
        None => quote_spanned!(span=> #door::#runner(call, #answers, async move { #body }).await),
        Some(transaction) => transaction::run(guarded, transaction, &answers, &body),
    };
    quote_spanned! {span=>
        #(#warnings)*
        let call = { #call };
        #run
    }
}

/// An item that does nothing but use another one that is deprecated, at the user's own place: the
/// one warning that a macro can give words to. `#[allow(deprecated)]` at the function silences it.
fn warning(warning: &Warning) -> TokenStream {
    let span = Span::mixed_site();
    let Warning { subject, place, text } = warning;
    let subject = Ident::new(subject, span);
    let used = Ident::new(&subject.to_string(), span.located_at(*place));
    quote_spanned! {span=>
        const _: () = {
            #[deprecated(note = #text)]
            const #subject: () = ();
            #used
        };
    }
}

/// The runtime function that runs the plan, and what it may do with the return type. The type's
/// bounds stand on the latter, a plain function: an `async fn` with bounds would repeat each
/// error at its call and at its `await`.
fn runner(guarded: &Guarded<'_>, returns: &Type) -> (Ident, TokenStream) {
    let span = Span::mixed_site();
    // A type that depends on a parameter is asked in a way that lets the compiler suggest bounds.
    let one_of = |plain, generic| if guarded.plan.is_generic { generic } else { plain };
    let skipping = |skip: bool| {
        let skipped = asked(guarded, "skipped", returns);
        skip.then(|| quote_spanned!(span=> .skipping(#skipped)))
    };
    let (runner, answers) = match &guarded.plan.work {
        Work::Exclusive(lock) => {
            let answers = asked(guarded, one_of("returns", "returns_generic"), returns);
            let skipping = skipping(lock.skip_when_busy);
            ("run_lock", quote_spanned!(span=> #answers #skipping))
        }
        Work::Once(once, lock) => {
            let answers = replays(guarded, one_of("replays", "replays_generic"), returns);
            let remembering = once.remember.as_ref().map(|remember| {
                let errors = asked(guarded, one_of("errors", "errors_generic"), returns);
                let only = remember.only.iter();
                quote_spanned!(span=> .remembering(#errors #(.only(#only))*))
            });
            let skipping = skipping(lock.as_ref().is_some_and(|lock| lock.skip_when_busy));
            let runner = if once.detached { "run_idempotent_detached" } else { "run_idempotent" };
            (runner, quote_spanned!(span=> #answers #remembering #skipping))
        }
    };
    (Ident::new(runner, span), answers)
}

/// What may be done with the return type, and how its outcomes are stored, which the type decides.
/// All of it stands from the first to the last token of the type, so that what that lacks is said
/// there, and once.
fn replays(guarded: &Guarded<'_>, name: &str, returns: &Type) -> TokenStream {
    let (first, last) = ends(returns);
    let door = guarded.plan.door.at(first);
    let of = Ident::new(if guarded.plan.is_value { "Value" } else { "Stored" }, first);
    let nothing = parentheses(TokenStream::new(), last);
    let returned = quote_spanned!(first=> #door::#of::<#returns>::TYPE.returned #nothing);
    let name = Ident::new(name, first);
    let returned = parentheses(returned, last);
    quote_spanned!(first=> #door::#name #returned)
}

/// `name::<R>()`, standing where the return type stands.
fn asked(guarded: &Guarded<'_>, name: &str, returns: &Type) -> TokenStream {
    let (first, last) = ends(returns);
    let name = Ident::new(name, first);
    let nothing = parentheses(TokenStream::new(), last);
    let door = guarded.plan.door.at(first);
    quote_spanned!(first=> #door::#name::<#returns> #nothing)
}

fn parentheses(around: TokenStream, place: Span) -> Group {
    let mut group = Group::new(Delimiter::Parenthesis, around);
    group.set_span(place);
    group
}

fn ends(ty: &Type) -> (Span, Span) {
    let span = Span::mixed_site();
    let mut tokens = ty.to_token_stream().into_iter();
    let first = tokens.next().map_or(span, |token| span.located_at(token.span()));
    let last = tokens.last().map_or(first, |token| span.located_at(token.span()));
    (first, last)
}

/// The body behind a return that never happens. It tells the block its type beforehand: `?`,
/// `return` and coercions need it, and errors then point at the expression that is wrong.
///
/// The body keeps its own braces, so that items at its head still come before all statements. The
/// label keeps the compiler from calling those braces superfluous.
fn typed(returns: &Type, body: &Group) -> TokenStream {
    let span = Span::mixed_site();
    let (declared, _) = ends(returns);
    let never = Ident::new("never", span);
    let returned = Ident::new("never", declared);
    let leave = quote_spanned!(declared=> return #returned);
    let label = Lifetime::new("'_body", span.located_at(body.span()));
    quote_spanned! {span=>
        if let ::core::option::Option::Some(#never) = ::core::option::Option::None::<#returns> {
            #leave;
        }
        #label: #body
    }
}

/// The type with every `impl Trait` left to inference, as it cannot stand in a body.
fn erased(ty: &Type) -> Type {
    let mut ty = ty.clone();
    erase(&mut ty);
    ty
}

fn erase(ty: &mut Type) {
    match ty {
        Type::ImplTrait(opaque) => {
            *ty = Type::Infer(TypeInfer {
                attrs: Vec::new(),
                underscore_token: syn::token::Underscore(opaque.impl_token.span),
            });
        }
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
                    for argument in &mut arguments.args {
                        if let GenericArgument::Type(ty) = argument {
                            erase(ty);
                        }
                    }
                }
            }
        }
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(erase),
        Type::Array(array) => erase(&mut array.elem),
        Type::Slice(slice) => erase(&mut slice.elem),
        Type::Reference(reference) => erase(&mut reference.elem),
        Type::Group(group) => erase(&mut group.elem),
        Type::Paren(paren) => erase(&mut paren.elem),
        _ => {}
    }
}
