//! The default name of an operation: module, type, function.

use std::any::type_name;
use std::cell::RefCell;
use std::collections::HashMap;

use crate::model::{MAX_OPERATION_BYTES, Operation};

/// The operation of a function without a receiver. `H` is an item inside the function: its path
/// tells the associated functions of two types in one module apart.
pub fn operation<H>(module: &'static str, function: &'static str, _here: H) -> Operation {
    remembered(module, function, type_name::<H>(), None)
}

/// The operation of a method that runs for a value of type `S`.
pub fn method<S: ?Sized, H>(module: &'static str, function: &'static str, _here: H) -> Operation {
    remembered(module, function, type_name::<H>(), Some(type_name::<S>()))
}

/// Where the literals stand that a name is made of: equal places hold equal text.
type Places = [(usize, usize); 4];

thread_local! {
    /// One for each function, and for each set of types it is called with.
    static NAMES: RefCell<HashMap<Places, Operation>> = RefCell::default();
}

/// The name is put together once for each thread, and not at every call.
fn remembered(
    module: &'static str,
    function: &'static str,
    here: &'static str,
    this: Option<&'static str>,
) -> Operation {
    let texts = [module, function, here, this.unwrap_or_default()];
    let places = texts.map(|text| (text.as_ptr() as usize, text.len()));
    let new = || Operation::named(shortened(name(module, function, here, this)));
    // While a thread ends, nothing is remembered any more.
    let known =
        NAMES.try_with(|names| names.borrow_mut().entry(places).or_insert_with(new).clone());
    known.unwrap_or_else(|_| new())
}

/// Puts the name together from the module and the function, which the language defines, and, of
/// what the compiler prints, only the type and the trait between them:
///
/// ```text
/// shop::pay                       a free function
/// shop::Till::pay                 a function of `Till`
/// shop::<api::Till>::pay          the same, in an `impl` outside of the type's module
/// shop::<Till as Counter>::pay    a function of a trait
/// ```
fn name(module: &str, function: &str, here: &str, this: Option<&str>) -> String {
    // The compiler writes keywords raw in the path of a module and plain in that of a type, and
    // prints asynchronous bodies as closures.
    let module = &*module.replace("r#", "");
    let here = &*here.replace("::{{closure}}", "");
    let owner = match (Owner::of(module, function, here), this) {
        (Owner::Trait { of, .. }, Some(this)) | (Owner::Trait { this, of }, None) => {
            format!("::<{} as {}>", local(module, this), local(module, of))
        }
        (Owner::Elsewhere(_), Some(this)) | (Owner::Elsewhere(this), None) => format!("::<{this}>"),
        // A method that a trait provides is printed under the trait, whoever it runs for.
        (Owner::Path(path), Some(this)) if without_generics(path) != without_generics(this) => {
            format!("::<{} as {}>", local(module, this), local(module, path))
        }
        (Owner::Path(_), Some(this)) | (Owner::Path(this), None) => {
            format!("::{}", local(module, this))
        }
        (Owner::None, _) => String::new(),
    };
    format!("{module}{owner}::{function}")
}

/// The name as far as it fits. A hash of the whole name stands for the rest, as generic types may have
/// names of any length.
fn shortened(name: String) -> String {
    if name.len() <= MAX_OPERATION_BYTES {
        return name;
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    let fits = name.floor_char_boundary(MAX_OPERATION_BYTES - "#".len() - hash.len());
    format!("{}#{hash}", &name[..fits])
}

/// What the compiler prints between the module and the function.
enum Owner<'path> {
    None,
    /// `shop::Till`, or the function around a nested one
    Path(&'path str),
    /// `shop::<impl api::Till>`
    Elsewhere(&'path str),
    /// `<shop::Till as shop::Counter>`
    Trait {
        this: &'path str,
        of: &'path str,
    },
}

impl<'path> Owner<'path> {
    fn of(module: &str, function: &str, here: &'path str) -> Self {
        let path = here.rsplit_once("::").map_or(here, |(path, _)| path);
        let path = path.strip_suffix(function).unwrap_or(path);
        let path = path.strip_suffix("::").unwrap_or(path);
        if path == module {
            return Self::None;
        }
        if let Some(inner) = path.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
            return match split(inner) {
                Some((this, of)) => Self::Trait { this, of },
                None => Self::Path(path),
            };
        }
        let inside = local(module, path).strip_prefix("<impl ");
        match inside.and_then(|rest| rest.strip_suffix('>')) {
            Some(ty) => Self::Elsewhere(ty),
            None => Self::Path(path),
        }
    }
}

/// `A as B` outside of all brackets.
fn split(inner: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, character) in inner.char_indices() {
        match character {
            '<' | '(' | '[' => depth += 1,
            // The arrow of a function type closes nothing.
            '>' if inner[..at].ends_with('-') => {}
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 && inner[at..].starts_with(" as ") => {
                return Some((&inner[..at], &inner[at + " as ".len()..]));
            }
            _ => {}
        }
    }
    None
}

/// A path as it is written inside the module.
fn local<'path>(module: &str, path: &'path str) -> &'path str {
    path.strip_prefix(module).and_then(|rest| rest.strip_prefix("::")).unwrap_or(path)
}

fn without_generics(path: &str) -> &str {
    path.find('<').map_or(path, |at| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::{method, name, operation, shortened};
    use crate::model::{Key, Operation};

    const MODULE: &str = module_path!();

    struct Till;
    struct Drawer;
    struct Shelf<T>(T);

    trait Counter {
        fn pay() -> Operation;
        fn close(&self) -> Operation {
            fn here() {}
            method::<Self, _>(module_path!(), "close", here)
        }
    }

    impl Till {
        fn pay() -> Operation {
            fn here() {}
            operation(module_path!(), "pay", here)
        }

        fn open(&self) -> Operation {
            fn here() {}
            method::<Self, _>(module_path!(), "open", here)
        }
    }

    impl Drawer {
        fn pay() -> Operation {
            fn here() {}
            operation(module_path!(), "pay", here)
        }
    }

    impl<T> Shelf<T> {
        fn open(&self) -> Operation {
            fn here() {}
            let _ = &self.0;
            method::<Self, _>(module_path!(), "open", here)
        }
    }

    impl Counter for Till {
        fn pay() -> Operation {
            fn here() {}
            operation(module_path!(), "pay", here)
        }
    }

    mod elsewhere {
        use crate::model::Operation;

        impl super::Till {
            pub(super) fn count() -> Operation {
                fn here() {}
                super::operation(module_path!(), "count", here)
            }
        }
    }

    fn free() -> Operation {
        fn here() {}
        let inside_a_closure = || operation(module_path!(), "free", here);
        inside_a_closure()
    }

    fn is(operation: &Operation, expected: &str) {
        assert_eq!(operation.name(), format!("{MODULE}::{expected}"));
    }

    #[test]
    fn a_free_function_is_named_after_its_module() {
        is(&free(), "free");
    }

    #[test]
    fn functions_of_two_types_have_two_names() {
        is(&Till::pay(), "Till::pay");
        is(&Drawer::pay(), "Drawer::pay");
        is(&Till.open(), "Till::open");
        is(&Shelf(1_u8).open(), "Shelf<u8>::open");
        is(&Shelf(1_u16).open(), "Shelf<u16>::open");
    }

    #[test]
    fn functions_of_a_trait_name_type_and_trait() {
        is(&<Till as Counter>::pay(), "<Till as Counter>::pay");
        is(&Till.close(), "<Till as Counter>::close");
    }

    #[test]
    fn an_impl_outside_of_the_types_module_names_the_whole_type() {
        is(&Till::count(), &format!("elsewhere::<{MODULE}::Till>::count"));
    }

    #[test]
    fn types_of_long_names_have_operations_of_their_own() {
        type Tills = (Till, Till, Till, Till);
        type Long = (Tills, Tills, Tills, Tills);
        let [shelf, again] = [0, 1].map(|number: u8| Shelf((None::<Long>, number)).open());
        let other = Shelf((None::<Long>, 1_u16)).open();
        assert!(Key::call("shop", &shelf, None, "42").is_ok());
        assert_eq!((shelf.name().len(), &shelf), (512, &again));
        assert!(shelf.name().starts_with(&format!("{MODULE}::Shelf<(")));
        assert_ne!(shelf, other);
    }

    #[test]
    fn a_name_is_shortened_to_the_same_text_in_every_release() {
        let hash = "9ffedce497637c11f6190b40b56a07b28771ec3db68291a2986ef35bae9c2d24";
        let short = shortened("ä".repeat(300));
        assert_eq!(short, format!("{}#{hash}", "ä".repeat(223)));
        assert_eq!(shortened("a".repeat(512)), "a".repeat(512));
    }

    #[test]
    fn asynchronous_bodies_do_not_show() {
        let here = "shop::pay::{{closure}}::{{closure}}::here";
        assert_eq!(name("shop", "pay", here, None), "shop::pay");
        let nested = "shop::main::{{closure}}::pay::{{closure}}::here";
        assert_eq!(name("shop", "pay", nested, None), "shop::main::pay");
    }

    #[test]
    fn keywords_are_written_plain() {
        assert_eq!(name("shop::r#type", "fn", "shop::type::fn::here", None), "shop::type::fn");
    }

    #[test]
    fn types_with_brackets_of_their_own_are_split_at_the_right_place() {
        let here = "<fn(u8) -> <A as B>::C as shop::T>::pay::here";
        assert_eq!(name("shop", "pay", here, None), "shop::<fn(u8) -> <A as B>::C as T>::pay");
    }
}
