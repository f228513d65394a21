//! The report of `doctor`, on standard output.

use std::io;
use std::time::Duration;

use serde::Serialize;

use super::millis;
use crate::output::Output;
use crate::text::{printable, printable_json};

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    /// Nothing failed, but the server is not as expected.
    Unclear,
    Failed,
    Skipped,
}

pub(super) struct Report {
    output: Output,
    json: bool,
}

/// A step as one line of JSON.
#[derive(Serialize)]
struct Step<'s> {
    step: &'s str,
    result: Verdict,
    /// `null` for a step that needed no time of its own.
    ms: Option<f64>,
    detail: &'s str,
}

/// The last line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Last<'s> {
    next: &'s str,
    exit_code: u8,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self { output: Output::new(json), json }
    }

    pub(super) async fn step(
        &mut self,
        step: &str,
        result: Verdict,
        took: Option<Duration>,
        detail: &str,
    ) -> io::Result<()> {
        let ms = took.map(millis);
        let line = match self.json {
            true => json(&Step { step, result, ms, detail })?,
            false => {
                let result = match result {
                    Verdict::Ok => "ok",
                    Verdict::Unclear => "unclear",
                    Verdict::Failed => "failed",
                    Verdict::Skipped => "skipped",
                };
                let ms = ms.map_or_else(String::new, |ms| format!("{ms:.1} ms"));
                format!("{step:<8} {result:<8} {ms:>10}  {}", printable(detail))
            }
        };
        self.output.line(line).await
    }

    pub(super) async fn next(&mut self, next: &str, exit_code: u8) -> io::Result<()> {
        let line = match self.json {
            true => json(&Last { next, exit_code })?,
            false => format!("next: {}", printable(next)),
        };
        self.output.line(line).await
    }
}

fn json(line: &impl Serialize) -> serde_json::Result<String> {
    Ok(printable_json(&serde_json::to_string(line)?).into_owned())
}
