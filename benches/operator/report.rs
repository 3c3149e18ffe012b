//! What was measured, as a table for people and as docs/performance.md.

use std::fmt::Write as _;

/// One figure.
pub(crate) struct Row {
    pub(crate) figure: String,
    pub(crate) measured: String,
    /// What it is to be, and whether it is.
    pub(crate) reach: Option<(String, bool)>,
    pub(crate) how: String,
}

/// The figures in their order, under headings.
#[derive(Default)]
pub(crate) struct Report {
    parts: Vec<(&'static str, Vec<Row>)>,
}

impl Report {
    pub(crate) fn part(&mut self, heading: &'static str) {
        self.parts.push((heading, Vec::new()));
    }

    /// A figure that is only told.
    pub(crate) fn tell(&mut self, figure: impl Into<String>, measured: impl Into<String>, how: impl Into<String>) {
        self.push(Row { figure: figure.into(), measured: measured.into(), reach: None, how: how.into() });
    }

    /// A figure that is to be no more than something.
    pub(crate) fn at_most(&mut self, figure: &str, (value, limit): (f64, f64), unit: &str, how: impl Into<String>) {
        let reach = Some((format!("≤ {}", number(limit, unit)), value <= limit));
        self.push(Row { figure: figure.into(), measured: number(value, unit), reach, how: how.into() });
    }

    /// A figure that is to be no less than something.
    pub(crate) fn at_least(&mut self, figure: &str, (value, limit): (f64, f64), unit: &str, how: impl Into<String>) {
        let reach = Some((format!("≥ {}", number(limit, unit)), value >= limit));
        self.push(Row { figure: figure.into(), measured: number(value, unit), reach, how: how.into() });
    }

    fn push(&mut self, row: Row) {
        self.parts.last_mut().unwrap().1.push(row);
    }

    /// For a terminal.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for (heading, rows) in &self.parts {
            writeln!(text, "\n{heading}").unwrap();
            for row in rows {
                let reach = row.reach.as_ref().map_or(String::new(), told);
                writeln!(text, "  {:<58} {:>30}   {reach}", row.figure, row.measured).unwrap();
            }
        }
        text
    }

    /// For docs/.
    pub(crate) fn markdown(&self, intro: &str, facts: &[(&str, String)]) -> String {
        let mut text = format!("# Performance\n\n{intro}\n\n| measured on | |\n|---|---|\n");
        for (name, value) in facts {
            writeln!(text, "| {name} | {value} |").unwrap();
        }
        for (heading, rows) in &self.parts {
            write!(text, "\n## {heading}\n\n| figure | measured | to reach | how |\n|---|---|---|---|\n").unwrap();
            for row in rows {
                let reach = row.reach.as_ref().map_or(String::new(), told);
                writeln!(text, "| {} | {} | {reach} | {} |", row.figure, row.measured, row.how).unwrap();
            }
        }
        text
    }
}

fn told((reach, is_reached): &(String, bool)) -> String {
    format!("{reach}: {}", if *is_reached { "reached" } else { "**missed**" })
}

/// A value with as many digits as it has a meaning with.
pub(crate) fn number(value: f64, unit: &str) -> String {
    let digits = if value.abs() >= 100.0 { 0 } else { usize::from(value.abs() < 10.0) + 1 };
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    format!("{value:.digits$}{unit}")
}

/// Several values of the same unit.
pub(crate) fn numbers(values: &[f64], unit: &str) -> String {
    let values: Vec<String> = values.iter().map(|value| number(*value, "")).collect();
    if unit.is_empty() { values.join(", ") } else { format!("{} {unit}", values.join(", ")) }
}

/// The one in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    crate::edits::percentile(values, 0.5)
}
