//! How figures are shown: a table for people, lines of JSON for programs.
#![forbid(unsafe_code)]

use std::fmt::Write;

use super::{figures::Figures, table::Benchmark};

/// One object, in one line without its end.
pub fn json(benchmark: &Benchmark, figures: Figures) -> String {
    let Benchmark { name, unit, .. } = benchmark;
    let Figures { value, min, median, max } = figures;
    // Names and units are words: nothing in them needs to be escaped.
    format!(
        r#"{{"name":"{name}","value":{value},"min":{min},"median":{median},"max":{max},"unit":"{unit}"}}"#
    )
}

/// Lines with columns, the figures of others and the bars among them.
pub fn table(measured: &[(&Benchmark, Figures)]) -> String {
    let head = ["name", "value", "min", "median", "max", "seL4", "Linux", "bar", "met", "unit"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(measured.iter().map(|(benchmark, figures)| row(benchmark, *figures)));
    let widths: Vec<_> = (0..head.len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Words to the left, numbers to the right. A string takes all that there is room for.
            let _ = match column {
                0 => write!(line, "{cell:width$}"),
                9 => write!(line, "  {cell}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(benchmark: &Benchmark, figures: Figures) -> [String; 10] {
    let Figures { value, min, median, max } = figures;
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), grouped);
    let met = match benchmark.bar {
        None => "-",
        Some(bar) if value <= bar => "yes",
        Some(_) => "no",
    };
    let others = [benchmark.sel4, benchmark.linux, benchmark.bar].map(number);
    let [sel4, linux, bar] = others;
    let [value, min, median, max] = [value, min, median, max].map(grouped);
    let (name, unit) = (benchmark.name.to_owned(), benchmark.unit.to_owned());
    [name, value, min, median, max, sel4, linux, bar, met.to_owned(), unit]
}

/// With a comma before every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{super::table::matching, *};

    const FIGURES: Figures = Figures { value: 60, min: 59, median: 60, max: 1234 };

    #[test]
    fn json_is_one_object_with_the_promised_keys() {
        let line = json(matching("syscall_null").unwrap()[0], FIGURES);
        assert_eq!(
            line,
            r#"{"name":"syscall_null","value":60,"min":59,"median":60,"max":1234,"unit":"instructions"}"#
        );
    }

    #[test]
    fn the_table_has_others_and_says_which_bar_is_met() {
        let [overhead, null] = ["overhead", "syscall_null"].map(|name| matching(name).unwrap()[0]);
        let missed = Figures { value: 61, ..FIGURES };
        let text = table(&[(overhead, FIGURES), (null, FIGURES), (null, missed)]);
        let lines: Vec<_> = text.lines().collect();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(lines[1])[5..], ["-", "-", "-", "-", "instructions"]);
        assert_eq!(
            words(lines[2]),
            ["syscall_null", "60", "59", "60", "1,234", "89", "309", "60", "yes", "instructions"]
        );
        assert_eq!(words(lines[3])[8], "no");
        // Columns stand beneath each other.
        let unit = lines[0].find("unit").unwrap();
        assert!(lines[1..].iter().all(|line| line.find("instructions") == Some(unit)), "{text}");
    }

    #[test]
    fn digits_stand_in_threes() {
        let texts = [0, 999, 1000, 12345, 1_560_000_000].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "12,345", "1,560,000,000"]);
    }
}
