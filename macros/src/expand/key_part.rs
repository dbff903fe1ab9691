//! `#[derive(KeyPart)]`: a newtype stands in a key as what it wraps.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, Index};

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
    // A bound on a type that has no parameters is checked at once, and underlines the field.
    let bound = quote_spanned!(ty.span()=> #ty: ::oncely::__private::KeyPart);
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::oncely::__private::KeyPart for #name #ty_generics
        where
            #(#predicates,)*
            #bound
        {
            fn render(&self, key: &mut ::std::string::String) {
                ::oncely::__private::KeyPart::render(&self.#member, key);
            }
        }
    })
}

fn only_field(input: &DeriveInput) -> syn::Result<&Field> {
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(data) => return Err(refused(data.enum_token.span(), "an enum")),
        Data::Union(data) => return Err(refused(data.union_token.span(), "a union")),
    };
    let mut all = fields.iter();
    match (all.next(), all.next()) {
        (Some(field), None) => Ok(field),
        (None, _) => Err(refused(input.ident.span(), "a struct without fields")),
        (Some(_), Some(second)) => {
            let place = match fields {
                Fields::Named(_) | Fields::Unnamed(_) => second.span(),
                Fields::Unit => input.ident.span(),
            };
            Err(refused(place, "a struct of several fields"))
        }
    }
}

fn refused(place: proc_macro2::Span, what: &str) -> Error {
    Error::new(
        place,
        format_args!(
            "`#[derive(KeyPart)]` is for newtypes, and this is {what}\n= help: name the fields \
             in the template instead, such as `<order.shop>:<order.number>`"
        ),
    )
}
