//! Values that may stand in a key, and how a template becomes one.

#[cfg(any(feature = "chrono", feature = "time", feature = "jiff"))]
mod dates;
#[cfg(test)]
mod tests;
mod values;

use std::cell::Cell;
use std::fmt::{self, Display, Write};

use super::key::checked;
use super::room::with_text;
use super::{Error, MAX_KEY_BYTES};

/// A value that may stand in a key.
///
/// Implemented for values that have one spelling: integers, `bool`, `char`, strings, and `Uuid`
/// and dates behind features. A newtype around one of them derives it; other types spell
/// themselves:
///
/// ```
/// use oncely::{KeyPart, KeyPartWriter};
///
/// enum Currency {
///     Euro,
///     Yen,
/// }
///
/// impl KeyPart for Currency {
///     fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
///         writer.push_str(match self {
///             Self::Euro => "EUR",
///             Self::Yen => "JPY",
///         });
///     }
/// }
/// ```
///
/// Values that differ must write different text, or calls that differ share a key. Separators
/// need no care: what is written is escaped so that it cannot be taken for the text around it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a key",
    label = "not a `KeyPart`",
    note = "integers, `bool`, `char` and strings can, and `Uuid` and dates with oncely's features \
            `uuid`, `chrono`, `time` and `jiff`; a newtype of one of them can with \
            `#[derive(KeyPart)]`",
    note = "floats, `Option` and `Debug` output cannot: they have no single spelling; name a field \
            or argument that has one"
)]
pub trait KeyPart {
    /// Writes the text that stands for this value.
    fn write_key_part(&self, writer: &mut KeyPartWriter<'_>);
}

/// A stretch of a template with its placeholders filled in.
#[derive(Clone, Copy)]
pub enum Piece<'a> {
    /// Text of the template itself.
    Text(&'a str),
    /// The value of a placeholder.
    Part(&'a dyn KeyPart),
}

impl fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Self::Part(_) => f.debug_tuple("Part").finish_non_exhaustive(),
        }
    }
}

/// The key that a template gives for these values.
///
/// A part keeps ASCII letters and digits, `-`, `.`, `_`, `~` and everything beyond ASCII; other
/// characters become the `%XX` of their bytes, and so does, whatever it is, the first character of
/// the text that follows the part. A `%` of the template itself becomes `%%`. So ordinary values
/// stand in a key as they are: `order:<42>` gives `order:42`.
///
/// No two lists of parts give one key under one template. Reading a key from the left shows why,
/// for all that was written can be read back:
///
/// - A part is a row of units, each either a `%XX` with two hexadecimal digits or one character
///   other than `%`. A unit is `%XX` exactly if it begins with `%`, so the row falls into its units
///   in one way, and the units spell one row of bytes: the value.
/// - The text that follows begins with a character `c`, written `c`, or `%%` if it is `%`. Where
///   the next unit could begin, `c` or `%%` ends the part. It cannot be a unit of the part: `c`
///   inside the part became `%XX`, and the second `%` of `%%` is no hexadecimal digit. It is not
///   overlooked either: the part ends between two units, and there the text begins. That `c` may
///   be a digit inside some `%XX` of the part does no harm, for a unit is read whole.
/// - The text before the first part and after the last is fixed, and with no text after it the last
///   part ends with the key.
///
/// # Errors
/// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey) if the key would be empty or longer
/// than 512 bytes, if the `Display` of a part fails, or if two parts have no text between them.
pub(crate) fn render(pieces: &[Piece<'_>]) -> Result<String, Error> {
    with_rendered(pieces, |key| Ok(key.to_owned()))
}

/// What `then` makes of the key that [`render`] gives.
///
/// # Errors
/// As [`render`], and those of `then`.
pub(crate) fn with_rendered<T>(
    pieces: &[Piece<'_>],
    then: impl FnOnce(&str) -> Result<T, Error>,
) -> Result<T, Error> {
    thread_local! {
        static KEY: Cell<String> = const { Cell::new(String::new()) };
    }

    with_text(&KEY, |text| {
        push_rendered(text, pieces)?;
        then(text)
    })
}

fn push_rendered(text: &mut String, pieces: &[Piece<'_>]) -> Result<(), Error> {
    let mut after_part = false;
    for (index, piece) in pieces.iter().enumerate() {
        match *piece {
            Piece::Text("") => {}
            Piece::Text(literal) => {
                push_literal(text, literal);
                after_part = false;
            }
            Piece::Part(_) if after_part => {
                return Err(Error::invalid_key(
                    "",
                    "two parts of the key have no text between them",
                ));
            }
            Piece::Part(part) => {
                let following = first_character(&pieces[index + 1..]);
                let mut writer = KeyPartWriter { text: &mut *text, following, failed: false };
                part.write_key_part(&mut writer);
                if writer.failed {
                    return Err(Error::invalid_key("", "a part of the key cannot be displayed"));
                }
                after_part = true;
            }
        }
        if text.len() > MAX_KEY_BYTES {
            break;
        }
    }
    checked("key", text, MAX_KEY_BYTES)
}

/// The character that ends a part in front of `pieces`.
fn first_character(pieces: &[Piece<'_>]) -> Option<char> {
    let mut characters = pieces.iter().map_while(|piece| match piece {
        Piece::Text(literal) => Some(literal.chars().next()),
        Piece::Part(_) => None,
    });
    characters.find_map(|character| character)
}

fn push_literal(text: &mut String, literal: &str) {
    if !literal.contains('%') {
        return text.push_str(literal);
    }
    for character in literal.chars() {
        if character == '%' {
            text.push('%');
        }
        text.push(character);
    }
}

/// Takes the text of one part of a key, and escapes it.
#[derive(Debug)]
pub struct KeyPartWriter<'a> {
    text: &'a mut String,
    /// The first character of the text that follows the part.
    following: Option<char>,
    failed: bool,
}

impl KeyPartWriter<'_> {
    /// Appends `text` to the part.
    pub fn push_str(&mut self, text: &str) {
        let mut bytes = text.bytes();
        if text.len() <= MAX_KEY_BYTES && bytes.all(|byte| self.leaves(byte)) && !self.is_full() {
            return self.text.push_str(text);
        }
        for character in text.chars() {
            if self.is_full() {
                return;
            }
            if is_plain(character) && self.following != Some(character) {
                self.text.push(character);
            } else {
                push_escaped(self.text, character);
            }
        }
    }

    /// Whether this is a byte of ASCII that is written as it is.
    fn leaves(&self, byte: u8) -> bool {
        let character = char::from(byte);
        byte.is_ascii() && is_plain(character) && self.following != Some(character)
    }

    /// Appends what `value` displays to the part.
    ///
    /// A value whose `Display` fails makes the key invalid.
    pub fn push_display(&mut self, value: impl Display) {
        let displayed = write!(Escaping(self), "{value}");
        // A full writer stops a long value by an error, and is reported for its length.
        if displayed.is_err() && !self.is_full() {
            self.failed = true;
        }
    }

    /// Whether the key is too long already: what else a part has to say no longer matters, and
    /// may be a gigabyte.
    fn is_full(&self) -> bool {
        self.text.len() > MAX_KEY_BYTES
    }
}

/// Keeps `fmt::Write`, whose methods could be mistaken for the writer's own, out of its interface.
struct Escaping<'a, 'b>(&'a mut KeyPartWriter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(text);
        if self.0.is_full() { Err(fmt::Error) } else { Ok(()) }
    }
}

fn is_plain(character: char) -> bool {
    !character.is_ascii()
        || character.is_ascii_alphanumeric()
        || matches!(character, '-' | '.' | '_' | '~')
}

fn push_escaped(text: &mut String, character: char) {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        text.push('%');
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
        }
    }
}
