//! Token streams from bytes: every row of bytes is one, and most of them look like code. The fuzz
//! targets read this file too.

use proc_macro2::{Delimiter, Group, Literal, TokenStream, TokenTree};

/// What one byte can say. Longer pieces lead deeper into what reads them.
const PIECES: [&str; 96] = [
    "key =",
    "keys =",
    "operation =",
    "skip",
    "retention =",
    "lease =",
    "max_hold =",
    "wait =",
    "remember_errors",
    "on_interrupted =",
    "on_store_error =",
    "detached",
    "tx = tx",
    "begin",
    "scope =",
    "coordinator =",
    "on_busy =",
    "constant",
    "crate =",
    "@ included",
    "=",
    ",",
    ";",
    ":",
    "::",
    ".",
    "&",
    "&mut",
    "'a",
    "<",
    ">",
    "->",
    "|",
    "_",
    "!",
    "#",
    "#!",
    "@",
    "$",
    "..",
    "self",
    "Self",
    "mut self",
    "&self",
    "self: Arc<Self>",
    "crate",
    "request",
    "r#type",
    "order",
    "order: u64",
    "request: Request",
    "name: &'a str",
    "tags: HashSet<u8>",
    "_: T",
    "thing: impl Send",
    "const N: usize",
    "T: Send",
    "where",
    "for",
    "dyn",
    "impl",
    "async",
    "async fn pay",
    "pub",
    "unsafe",
    "extern \"C\"",
    "fn",
    "struct S",
    "let",
    "return",
    "await",
    "match",
    "u64",
    "T",
    "E",
    "Result<T, E>",
    "-> Result<T, E>",
    "-> Result<impl Sized, E>",
    "-> Result<&str, E>",
    "-> io::Result<()>",
    "Pin<Box<dyn Future<Output = Result<T, E>> + Send>>",
    "-> Pin<Box<dyn Future<Output = Result<T, E>>>>",
    "Box::pin",
    "async move",
    "let __ret: Result<T, E> =",
    "let __self = self;",
    "let __arg1 = __arg1;",
    "__arg1: u64",
    "let Json(dto) = { let __arg1 = __arg1; __arg1 };",
    "#[idempotent]",
    "#[with_lock(key = \"<order>\")]",
    "#[idempotent(key = \"a:<request.id>\", wait = \"1s\")]",
    "#[cfg(all())]",
    "#![allow(unused)]",
    "\"24h\"",
    "7",
];

/// What a text can be made of.
const TEXT: [&str; 24] = [
    "<",
    ">",
    "<<",
    ">>",
    "<order>",
    "<request.id>",
    "<self.x>",
    "<0>",
    "<r#type>",
    "order",
    "self",
    ".",
    ":",
    "0",
    "7",
    "ms",
    "s",
    "h",
    "d",
    "run",
    "skip",
    "hold",
    "é",
    " ",
];

/// The stream that the bytes spell, up to their end or to a byte that closes a group.
pub(crate) fn tokens(bytes: &mut impl Iterator<Item = u8>) -> TokenStream {
    group(bytes, 0)
}

fn group(bytes: &mut impl Iterator<Item = u8>, depth: usize) -> TokenStream {
    let mut stream = TokenStream::new();
    while let Some(byte) = bytes.next() {
        match byte {
            0..=95 => stream.extend(piece(PIECES[usize::from(byte)])),
            96..=159 => stream.extend([TokenTree::from(Literal::string(&text(bytes)))]),
            160..=219 if depth < 24 => {
                let delimiter = match byte % 4 {
                    0 => Delimiter::Parenthesis,
                    1 => Delimiter::Brace,
                    2 => Delimiter::Bracket,
                    _ => Delimiter::None,
                };
                let inner = group(bytes, depth + 1);
                stream.extend([TokenTree::from(Group::new(delimiter, inner))]);
            }
            _ => return stream,
        }
    }
    stream
}

fn piece(text: &str) -> TokenStream {
    text.parse().unwrap_or_default()
}

/// A text such as an option's value, up to its end or a byte that says so.
pub(crate) fn text(bytes: &mut impl Iterator<Item = u8>) -> String {
    bytes
        .take_while(|byte| *byte < 240)
        .take(40)
        .map(|byte| TEXT[usize::from(byte) % TEXT.len()])
        .collect()
}
