//! Rows of measurements, for people and for programs.

use std::fmt;

/// One measurement, what it is compared with, and what it should be.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    /// What the same costs without oncely; none where the value speaks for itself.
    pub(crate) floor: Option<f64>,
    pub(crate) unit: &'static str,
    pub(crate) goal: Goal,
}

/// What the ratio should be, or the value where there is no floor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// There for comparison.
    None,
}

impl Row {
    /// A measurement that speaks for itself.
    pub(crate) fn figure(name: &'static str, value: f64, unit: &'static str, goal: Goal) -> Self {
        Self { name, value, floor: None, unit, goal }
    }

    /// A measurement and what it is compared with.
    pub(crate) fn compared(
        name: &'static str,
        [value, floor]: [f64; 2],
        unit: &'static str,
        goal: Goal,
    ) -> Self {
        Self { name, value, floor: Some(floor), unit, goal }
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.map(|floor| self.value / floor)
    }

    /// One line of JSON.
    pub(crate) fn print_json(&self) {
        let Self { name, value, floor, unit, .. } = self;
        let compared = floor
            .zip(self.ratio())
            .map(|(floor, ratio)| format!(r#" "floor": {floor:.4}, "ratio": {ratio:.3},"#));
        let compared = compared.unwrap_or_default();
        println!(r#"{{"row": "{name}", "value": {value:.4},{compared} "unit": "{unit}"}}"#);
    }
}

impl Goal {
    fn is_met(self, found: f64) -> bool {
        match self {
            Self::AtMost(most) => found <= most,
            Self::AtLeast(least) => found >= least,
            Self::None => true,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::None => f.write_str(""),
        }
    }
}

/// All rows under one another.
pub(crate) fn print(rows: &[Row]) {
    println!("| row | oncely | floor | ratio | goal |");
    println!("|---|---:|---:|---:|---|");
    for row in rows {
        let Row { name, value, floor, unit, goal } = row;
        let number = |value: f64| {
            if value >= 1_000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
        };
        let value_text = format!("{} {unit}", number(*value));
        let floor = floor.map(|floor| format!("{} {unit}", number(floor))).unwrap_or_default();
        let ratio = row.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let missed = if goal.is_met(row.ratio().unwrap_or(*value)) { "" } else { " (missed)" };
        println!("| `{name}` | {value_text} | {floor} | {ratio} | {goal}{missed} |");
    }
}
