//! Durations: whole numbers with units, largest unit first.

/// The units, and how many milliseconds each has.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is no duration.
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    NoUnit,
    Unreadable,
    TooLong,
}

/// Milliseconds of `"250ms"`, `"30s"`, `"1h30m"`.
pub(super) fn milliseconds(text: &str) -> Result<u64, Fault> {
    if !text.is_empty() && text.chars().all(|character| character.is_ascii_digit()) {
        return Err(Fault::NoUnit);
    }
    let mut rest = text;
    let mut total = 0_u64;
    let mut larger = u64::MAX;
    loop {
        let (number, after) = split(rest, |character| character.is_ascii_digit());
        let (unit, after) = split(after, |character| character.is_ascii_alphabetic());
        let factor = factor(unit).filter(|&factor| factor < larger).ok_or(Fault::Unreadable)?;
        let number = match number.parse::<u64>() {
            Ok(number) => number,
            Err(_) if number.is_empty() => return Err(Fault::Unreadable),
            Err(_) => return Err(Fault::TooLong),
        };
        let part = number.checked_mul(factor).ok_or(Fault::TooLong)?;
        total = total.checked_add(part).ok_or(Fault::TooLong)?;
        if after.is_empty() {
            return Ok(total);
        }
        larger = factor;
        rest = after;
    }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|character| !belongs(character)).unwrap_or(text.len()))
}

fn factor(unit: &str) -> Option<u64> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
}

#[cfg(test)]
mod tests {
    use super::{Fault, milliseconds};

    #[test]
    fn a_number_with_a_unit_is_a_duration() {
        assert_eq!(milliseconds("250ms"), Ok(250));
        assert_eq!(milliseconds("30s"), Ok(30_000));
        assert_eq!(milliseconds("5m"), Ok(300_000));
        assert_eq!(milliseconds("24h"), Ok(86_400_000));
        assert_eq!(milliseconds("7d"), Ok(604_800_000));
        assert_eq!(milliseconds("0s"), Ok(0));
    }

    #[test]
    fn units_combine_from_the_largest_to_the_smallest() {
        assert_eq!(milliseconds("1m30s"), Ok(90_000));
        assert_eq!(milliseconds("1d2h3m4s5ms"), Ok(93_784_005));
        assert_eq!(milliseconds("30s1m"), Err(Fault::Unreadable));
        assert_eq!(milliseconds("1s1s"), Err(Fault::Unreadable));
    }

    #[test]
    fn a_number_alone_lacks_its_unit() {
        assert_eq!(milliseconds("30"), Err(Fault::NoUnit));
        assert_eq!(milliseconds("1m30"), Err(Fault::Unreadable));
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in ["", "s", "1.5s", "-1s", "1 s", " 1s", "1S", "1min", "1w", "1s ", "١s", "1ß"]
        {
            assert_eq!(milliseconds(text), Err(Fault::Unreadable), "{text:?}");
        }
    }

    #[test]
    fn a_duration_beyond_every_clock_is_told_from_an_unreadable_one() {
        assert_eq!(milliseconds("99999999999999999999s"), Err(Fault::TooLong));
        assert_eq!(milliseconds("18446744073709551615d"), Err(Fault::TooLong));
    }
}
