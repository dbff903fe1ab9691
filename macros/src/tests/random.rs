//! No input makes the attributes panic, not even one that nobody would write. `fuzz/` has the same
//! for longer.

use proc_macro2::Span;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use syn::LitStr;

use super::vocabulary;
use crate::attribute::{Kind, attribute};
use crate::diagnostics::Problems;
use crate::model::Part;
use crate::parse::template::template;

fn runner() -> TestRunner {
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
}

#[test]
fn any_tokens_are_survived() {
    let input = (vec(any::<u8>(), 0..60), vec(any::<u8>(), 0..120));
    let survived = runner().run(&input, |(options, item)| {
        let options = vocabulary::tokens(&mut options.into_iter());
        let item = vocabulary::tokens(&mut item.into_iter());
        for kind in [Kind::Idempotent, Kind::WithLock] {
            attribute(kind, options.clone(), item.clone());
        }
        Ok(())
    });
    survived.unwrap();
}

#[test]
fn any_text_is_a_template_or_a_problem() {
    let check = |text: String| -> Result<(), TestCaseError> {
        let mut problems = Problems::default();
        match template(&LitStr::new(&text, Span::call_site()), &mut problems) {
            Some(template) => {
                prop_assert!(problems.is_empty());
                let is_placeholder = |part: &Part| matches!(part, Part::Placeholder(_));
                let mut pairs = template.parts.windows(2);
                prop_assert!(
                    pairs.all(|pair| pair.iter().filter(|it| is_placeholder(it)).count() == 1)
                );
            }
            None => prop_assert!(!problems.is_empty()),
        }
        Ok(())
    };
    runner().run(&"\\PC{0,60}", check).unwrap();
    let spelt = vec(any::<u8>(), 0..40);
    runner().run(&spelt, |bytes| check(vocabulary::text(&mut bytes.into_iter()))).unwrap();
}
