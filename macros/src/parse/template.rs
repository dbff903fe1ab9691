//! Key templates: text, `<placeholders>`, and `<<` or `>>` for the brackets themselves.

use syn::{Ident, LitStr, parse_str};

use crate::diagnostics::Problems;
use crate::model::{Part, Placeholder, Root, Template};

/// The longest key, in bytes. A template whose text alone is longer never gives a usable one.
const MAX_KEY_BYTES: usize = 512;

/// Reads a template; every fault in it is reported at the literal and named in words, because
/// only a literal as a whole can be underlined.
pub(crate) fn template(literal: &LitStr, problems: &mut Problems) -> Option<Template> {
    match parts(&literal.value()) {
        Ok(parts) => Some(Template { literal: literal.clone(), parts }),
        Err(faults) => {
            for fault in faults {
                problems.report(literal, fault.what, fault.help);
            }
            None
        }
    }
}

/// What is wrong in a template.
#[derive(Debug, PartialEq)]
struct Fault {
    what: String,
    help: String,
}

fn fault(what: impl Into<String>, help: impl Into<String>) -> Fault {
    Fault { what: what.into(), help: help.into() }
}

const LITERAL: &str = "write `<<` and `>>` for the brackets themselves";

fn parts(text: &str) -> Result<Vec<Part>, Vec<Fault>> {
    let mut parts = Vec::new();
    let mut faults = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("<<") {
            push_text(&mut parts, "<");
            rest = after;
        } else if let Some(after) = rest.strip_prefix(">>") {
            push_text(&mut parts, ">");
            rest = after;
        } else if let Some(after) = rest.strip_prefix('<') {
            let end = after.find(['<', '>']).unwrap_or(after.len());
            let (inner, after) = after.split_at(end);
            let Some(after) = after.strip_prefix('>') else {
                faults.push(fault(format!("`<{inner}` is never closed"), unclosed(inner)));
                rest = after;
                continue;
            };
            match placeholder(inner) {
                Ok(found) => push_placeholder(&mut parts, found, &mut faults),
                Err(fault) => faults.push(fault),
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix('>') {
            faults.push(fault("this `>` closes nothing", LITERAL));
            rest = after;
        } else {
            let end = rest.find(['<', '>']).unwrap_or(rest.len());
            let (plain, after) = rest.split_at(end);
            push_text(&mut parts, plain);
            rest = after;
        }
    }
    faults.extend(unusable(text, &parts));
    if faults.is_empty() { Ok(parts) } else { Err(faults) }
}

fn unclosed(inner: &str) -> String {
    match is_name(inner) {
        true => format!("write `<{inner}>`, or `<<` for the bracket itself"),
        false => "close it with `>`, or write `<<` for the bracket itself".to_owned(),
    }
}

fn push_text(parts: &mut Vec<Part>, more: &str) {
    match parts.last_mut() {
        Some(Part::Text(text)) => text.push_str(more),
        _ => parts.push(Part::Text(more.to_owned())),
    }
}

/// Without text between them nobody could tell where one value ends and the next begins.
fn push_placeholder(parts: &mut Vec<Part>, found: Placeholder, faults: &mut Vec<Fault>) {
    if let Some(Part::Placeholder(before)) = parts.last() {
        let (before, found) = (&before.text, &found.text);
        faults.push(fault(
            format!("nothing separates `<{before}>` from `<{found}>`"),
            format!("put text between them: `<{before}>:<{found}>`"),
        ));
    }
    parts.push(Part::Placeholder(found));
}

fn unusable(text: &str, parts: &[Part]) -> Option<Fault> {
    if text.is_empty() {
        let help = "name what it stands for, such as `\"order:<order_id>\"`";
        return Some(fault("a template cannot be empty", help));
    }
    let fixed: usize = parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.len(),
            Part::Placeholder(_) => 0,
        })
        .sum();
    (fixed > MAX_KEY_BYTES).then(|| {
        fault(
            format!("the text of this template alone has {fixed} bytes"),
            format!("a key has at most {MAX_KEY_BYTES}; shorten the text"),
        )
    })
}

fn placeholder(inner: &str) -> Result<Placeholder, Fault> {
    if inner.is_empty() {
        let help = "name an argument between the brackets; ".to_owned() + LITERAL;
        return Err(fault("`<>` names no argument", help));
    }
    let mut segments = inner.split('.');
    let root = segments.next().and_then(root).ok_or_else(|| malformed(inner))?;
    let fields = segments
        .map(|segment| field(segment).ok_or_else(|| malformed(inner)))
        .collect::<Result<_, _>>()?;
    Ok(Placeholder { text: inner.to_owned(), root, fields })
}

fn malformed(inner: &str) -> Fault {
    let path: String = inner.chars().filter(|character| !character.is_whitespace()).collect();
    let help = if path != inner && placeholder(&path).is_ok() {
        format!("write `<{path}>`")
    } else {
        "it is an argument `<id>`, a field path `<request.order.id>` or a position `<0>`; \
         compute anything else before the call"
            .to_owned()
    };
    fault(format!("`<{inner}>` is not a placeholder"), help)
}

fn root(segment: &str) -> Option<Root> {
    if segment == "self" {
        return Some(Root::Receiver);
    }
    match segment.parse() {
        Ok(position) => is_number(segment).then_some(Root::Position(position)),
        Err(_) => field(segment).filter(|name| !is_number(name)).map(Root::Argument),
    }
}

/// A field's name or number; raw identifiers lose their `r#` here and get it back when written.
fn field(segment: &str) -> Option<String> {
    let name = segment.strip_prefix("r#").unwrap_or(segment);
    (is_number(segment) || is_name(name)).then(|| name.to_owned())
}

fn is_number(segment: &str) -> bool {
    let canonical = segment == "0" || !segment.starts_with('0');
    canonical && segment.bytes().all(|byte| byte.is_ascii_digit()) && segment.parse::<u32>().is_ok()
}

/// Any word, keywords included: `<request.type>` means the field `r#type`. The letters are looked
/// at first, as the compiler's lexer reports what it cannot read by itself.
fn is_name(segment: &str) -> bool {
    let word = segment.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
        && !segment.starts_with(char::is_numeric);
    let never_raw = matches!(segment, "" | "_" | "self" | "Self" | "super" | "crate");
    word && !never_raw
        && (parse_str::<Ident>(segment).is_ok()
            || parse_str::<Ident>(&format!("r#{segment}")).is_ok())
}

#[cfg(test)]
mod tests {
    use super::{Part, Placeholder, Root, parts};

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn placeholder(text: &str, root: Root, fields: &[&str]) -> Part {
        let fields = fields.iter().map(|&field| field.to_owned()).collect();
        Part::Placeholder(Placeholder { text: text.to_owned(), root, fields })
    }

    fn argument(name: &str) -> Root {
        Root::Argument(name.to_owned())
    }

    fn faults(template: &str) -> Vec<String> {
        parts(template).err().into_iter().flatten().map(|fault| fault.what).collect()
    }

    #[test]
    fn text_and_placeholders_alternate() {
        let expected = vec![text("order:"), placeholder("id", argument("id"), &[]), text(":paid")];
        assert_eq!(parts("order:<id>:paid"), Ok(expected));
        assert_eq!(parts("<id>"), Ok(vec![placeholder("id", argument("id"), &[])]));
        assert_eq!(parts("nightly"), Ok(vec![text("nightly")]));
    }

    #[test]
    fn a_placeholder_is_an_argument_a_path_or_a_position() {
        let deep = placeholder("request.order.id", argument("request"), &["order", "id"]);
        assert_eq!(parts("<request.order.id>"), Ok(vec![deep]));
        let tuple = placeholder("pair.0", argument("pair"), &["0"]);
        assert_eq!(parts("<pair.0>"), Ok(vec![tuple]));
        let mixed = placeholder("a.b.0", argument("a"), &["b", "0"]);
        assert_eq!(parts("<a.b.0>"), Ok(vec![mixed]));
        let receiver = placeholder("self.x", Root::Receiver, &["x"]);
        assert_eq!(parts("<self.x>"), Ok(vec![receiver]));
        assert_eq!(parts("<0>"), Ok(vec![placeholder("0", Root::Position(0), &[])]));
        assert_eq!(parts("<1.id>"), Ok(vec![placeholder("1.id", Root::Position(1), &["id"])]));
        let raw = placeholder("r#type.r#mod", argument("type"), &["mod"]);
        assert_eq!(parts("<r#type.r#mod>"), Ok(vec![raw]));
        let keyword = placeholder("type", argument("type"), &[]);
        assert_eq!(parts("<type>"), Ok(vec![keyword]));
    }

    #[test]
    fn doubled_brackets_are_brackets() {
        assert_eq!(parts("a<<b>>c"), Ok(vec![text("a<b>c")]));
        let around = vec![text("<"), placeholder("id", argument("id"), &[]), text(">")];
        assert_eq!(parts("<<<id>>>"), Ok(around));
        assert_eq!(parts("<<>>"), Ok(vec![text("<>")]));
    }

    #[test]
    fn brackets_that_do_not_match_are_named() {
        assert_eq!(faults("order:<id"), ["`<id` is never closed"]);
        assert_eq!(faults("order:<"), ["`<` is never closed"]);
        assert_eq!(faults("<a<b>"), ["`<a` is never closed"]);
        assert_eq!(faults("order:id>"), ["this `>` closes nothing"]);
        assert_eq!(faults("<>"), ["`<>` names no argument"]);
        assert_eq!(faults(""), ["a template cannot be empty"]);
    }

    #[test]
    fn neighbours_need_text_between_them() {
        assert_eq!(faults("<a><b>"), ["nothing separates `<a>` from `<b>`"]);
        assert_eq!(
            faults("<a><b><c.d>"),
            ["nothing separates `<a>` from `<b>`", "nothing separates `<b>` from `<c.d>`"]
        );
        assert!(faults("<a>-<b>").is_empty());
    }

    #[test]
    fn every_fault_of_a_template_is_reported() {
        let expected = ["`<>` names no argument", "`<a b>` is not a placeholder"];
        assert_eq!(faults("<>:<a b>"), expected);
    }

    #[test]
    fn expressions_are_no_placeholders() {
        for template in
            ["<a + b>", "<a()>", "<a.>", "<.a>", "<a..b>", "<&a>", "<_>", "<{}>", "< a >", "<-1>"]
        {
            assert_eq!(faults(template).len(), 1, "{template}");
        }
    }

    #[test]
    fn text_longer_than_a_key_is_refused() {
        assert!(faults(&"x".repeat(512)).is_empty());
        assert_eq!(faults(&"x".repeat(513)), ["the text of this template alone has 513 bytes"]);
    }
}
