//! `#[derive(KeyPart)]`: a newtype stands in a key as what it wraps.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Index};

use crate::check::Door;
use crate::diagnostics::Problems;
use crate::model::Slot;
use crate::parse;

/// ```text
/// struct OrderId(Uuid);
/// ```
/// becomes, beside itself,
/// ```text
/// impl ::oncely::__private::KeyPart for OrderId { … self.0 … }
/// ```
pub(crate) fn key_part(input: &DeriveInput) -> syn::Result<TokenStream> {
    let door = &door(input)?;
    let field = only_field(input)?;
    let ty = &field.ty;
    let member = match &field.ident {
        Some(name) => quote!(#name),
        None => {
            let index = Index::from(0);
            quote!(#index)
        }
    };
    let name = &input.ident;
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    let there = door.at(ty.span());
    let predicates = where_clause.iter().flat_map(|clause| &clause.predicates);
    // Without type parameters the call below already says, at the field, what it lacks.
    let bound = input
        .generics
        .type_params()
        .next()
        .map(|_| quote_spanned!(ty.span()=> #ty: #there::KeyPart));
    let part = quote_spanned!(ty.span()=> <#ty as #there::KeyPart>);
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #door::KeyPart for #name #ty_generics
        where
            #(#predicates,)*
            #bound
        {
            fn write_key_part(&self, writer: &mut #door::KeyPartWriter<'_>) {
                #part::write_key_part(&self.#member, writer);
            }
        }
    })
}

/// The runtime's path, from `#[key_part(crate = "…")]`.
fn door(input: &DeriveInput) -> syn::Result<Door> {
    let mut problems = Problems::default();
    let mut path = Slot::default();
    for attribute in input.attrs.iter().filter(|it| it.path().is_ident("key_part")) {
        let list = attribute.meta.require_list()?;
        path = parse::key_part(list.tokens.clone(), &mut problems).path;
    }
    match problems.into_error() {
        Some(error) => Err(error),
        None => Ok(Door::new(path.value)),
    }
}

fn only_field(input: &DeriveInput) -> syn::Result<&Field> {
    let place = input.ident.span();
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(_) => return Err(refused(place, "an enum", WRAP)),
        Data::Union(_) => return Err(refused(place, "a union", WRAP)),
    };
    let mut all = fields.iter();
    match (all.next(), all.next()) {
        (Some(field), None) => Ok(field),
        (None, _) => Err(refused(place, "a struct without fields", WRAP)),
        (Some(_), Some(_)) => Err(refused(place, "a struct of several fields", NAME)),
    }
}

const WRAP: &str = "write `impl KeyPart` by hand, and give each value a text of its own";
const NAME: &str = "name its fields in the template, such as `<order.shop>:<order.number>`";

fn refused(place: Span, what: &str, help: &str) -> Error {
    let what = format_args!("`#[derive(KeyPart)]` is for newtypes, and this is {what}");
    Error::new(place, format_args!("{what}\n= help: {help}"))
}
