//! `#[derive(KeyPart)]`: a newtype stands in a key as what it wraps.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Index};

/// ```text
/// struct OrderId(Uuid);
/// ```
/// becomes, beside itself,
/// ```text
/// impl ::oncely::__private::KeyPart for OrderId { … self.0 … }
/// ```
pub(crate) fn key_part(input: &DeriveInput) -> syn::Result<TokenStream> {
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
    let predicates = where_clause.iter().flat_map(|clause| &clause.predicates);
    // Without type parameters the call below already says, at the field, what it lacks.
    let bound = input
        .generics
        .type_params()
        .next()
        .map(|_| quote_spanned!(ty.span()=> #ty: ::oncely::__private::KeyPart));
    let part = quote_spanned!(ty.span()=> <#ty as ::oncely::__private::KeyPart>);
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::oncely::__private::KeyPart for #name #ty_generics
        where
            #(#predicates,)*
            #bound
        {
            fn write_key_part(&self, writer: &mut ::oncely::__private::KeyPartWriter<'_>) {
                #part::write_key_part(&self.#member, writer);
            }
        }
    })
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
