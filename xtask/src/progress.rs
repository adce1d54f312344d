//! Tells the user what takes long, on stderr: a spinner on a terminal, a plain line elsewhere.
#![forbid(unsafe_code)]

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// A step that takes long. It ends when this is dropped.
#[derive(Debug)]
pub struct Step {
    bar: Option<ProgressBar>,
    what: String,
}

impl Step {
    /// Says that `what` begins.
    pub fn begin(what: impl Into<String>) -> Self {
        let what = what.into();
        if !stderr().is_terminal() {
            eprintln!("xtask: {what}");
            return Self { bar: None, what };
        }
        let bar = ProgressBar::new_spinner().with_message(what.clone());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} [{elapsed}]") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar: Some(bar), what }
    }

    /// Shows how far it is, where there is a spinner.
    pub fn detail(&self, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {}", self.what, detail.trim()));
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
