//! Every problem of a function in one go: collected here, reported together.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Error;

/// The problems found so far.
#[derive(Default)]
pub(crate) struct Problems(Option<Error>);

impl Problems {
    /// Reports `what` is wrong at `place`, and what to write instead.
    pub(crate) fn report(&mut self, place: impl ToTokens, what: impl Display, help: impl Display) {
        self.push(Error::new_spanned(place, format_args!("{what}\n= help: {help}")));
    }

    /// Reports what a parser of syn found.
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// All of them as one error of syn.
    pub(crate) fn into_error(self) -> Option<Error> {
        self.0
    }

    /// One `compile_error!` for each problem.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.map(Error::into_compile_error).unwrap_or_default()
    }
}

/// The sentence that points from an unknown name to the known ones.
pub(crate) fn instead(wanted: &str, kind: &str, known: &[String]) -> String {
    let list = enumerate(known);
    match nearest(wanted, known) {
        Some(name) => format!("did you mean `{name}`? the {kind} are {list}"),
        None => format!("the {kind} are {list}"),
    }
}

/// `` `a`, `b`, `c` ``
pub(crate) fn enumerate(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The known name that `wanted` is most likely a slip of: at most a third of its letters differ,
/// so that a short name is never taken for another short name.
pub(crate) fn nearest<'known>(wanted: &str, known: &'known [String]) -> Option<&'known String> {
    known
        .iter()
        .map(|name| (distance(&wanted.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| distance * 3 <= wanted.chars().count().max(name.chars().count()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters to insert, delete, replace, or swap with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut table = vec![vec![0; to.len() + 1]; from.len() + 1];
    for row in 0..=from.len() {
        for column in 0..=to.len() {
            table[row][column] = match (row, column) {
                (0, steps) | (steps, 0) => steps,
                _ => {
                    let replaced = usize::from(from[row - 1] != to[column - 1]);
                    let plain = (table[row - 1][column - 1] + replaced)
                        .min(table[row - 1][column] + 1)
                        .min(table[row][column - 1] + 1);
                    let swapped = row > 1
                        && column > 1
                        && from[row - 1] == to[column - 2]
                        && from[row - 2] == to[column - 1];
                    if swapped { plain.min(table[row - 2][column - 2] + 1) } else { plain }
                }
            };
        }
    }
    table[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    fn meant(wanted: &str, known: &[&str]) -> Option<String> {
        let known: Vec<String> = known.iter().map(|&name| name.to_owned()).collect();
        nearest(wanted, &known).cloned()
    }

    #[test]
    fn a_slip_finds_the_name_it_was_meant_to_be() {
        assert_eq!(meant("order_di", &["order_id", "amount"]).as_deref(), Some("order_id"));
        assert_eq!(meant("retension", &["lease", "retention"]).as_deref(), Some("retention"));
        assert_eq!(meant("Wait", &["wait"]).as_deref(), Some("wait"));
    }

    #[test]
    fn a_name_that_resembles_nothing_finds_nothing() {
        assert_eq!(meant("x", &["y", "id"]), None);
        assert_eq!(meant("ttl", &["wait", "lease", "key"]), None);
        assert_eq!(meant("anything", &[]), None);
    }
}
