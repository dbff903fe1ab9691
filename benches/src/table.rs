//! Rows of measurements, for people and for programs.

/// One measurement and what it is compared with.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) floor: f64,
    pub(crate) unit: &'static str,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.value / self.floor
    }

    /// One line of JSON.
    pub(crate) fn print_json(&self) {
        let Self { name, value, floor, unit } = self;
        println!(
            r#"{{"row": "{name}", "value": {value:.4}, "floor": {floor:.4}, "ratio": {:.3}, "unit": "{unit}"}}"#,
            self.ratio()
        );
    }
}

/// All rows under one another.
pub(crate) fn print(rows: &[Row]) {
    println!("| row | oncely | floor | ratio |");
    println!("|---|---:|---:|---:|");
    for row in rows {
        let Row { name, value, floor, unit } = row;
        println!("| {name} | {value:.2} {unit} | {floor:.2} {unit} | {:.2} |", row.ratio());
    }
}
