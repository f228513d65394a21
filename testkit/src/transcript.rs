//! The textual trace of a run and its digest.

use std::collections::VecDeque;
use std::fmt;

use sha1_smol::Sha1;

/// The events of one run, line by line, in virtual time.
///
/// Every line goes into the digest. Only the last lines are kept as text, so that a run of millions of steps fits into
/// memory. If the digests of two runs are equal, the runs were the same.
///
/// ```
/// use multiwa_ws_testkit::transcript::Transcript;
///
/// let mut transcript = Transcript::new(100);
/// transcript.record(1_500, "client", "Opened");
/// assert_eq!(transcript.to_string(), "1500 client Opened\n");
/// assert_eq!(transcript.digest().len(), 40);
/// ```
#[derive(Clone)]
pub struct Transcript {
    sha1: Sha1,
    kept: VecDeque<String>,
    keep: usize,
    recorded: u64,
}

impl Transcript {
    /// An empty trace that keeps its last `keep` lines as text.
    #[must_use]
    pub fn new(keep: usize) -> Self {
        Self { sha1: Sha1::new(), kept: VecDeque::new(), keep, recorded: 0 }
    }

    /// Adds one line: at `nanos` of virtual time, `who` did or saw `what`.
    ///
    /// A line break inside `what` is written as `\n`: one record is one line.
    pub fn record(&mut self, nanos: u64, who: &str, what: impl fmt::Display) {
        let what = what.to_string().replace('\\', "\\\\").replace('\n', "\\n");
        let line = format!("{nanos} {who} {what}\n");
        self.sha1.update(line.as_bytes());
        self.recorded += 1;
        self.kept.push_back(line);
        if self.kept.len() > self.keep {
            self.kept.pop_front();
        }
    }

    /// The number of recorded lines, including those that were not kept.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.recorded
    }

    /// SHA-1 of all lines, as 40 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> String {
        format!("{}", self.sha1.digest())
    }
}

/// The kept lines, oldest first. If there were lines before them, a first line gives their number.
impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = u64::try_from(self.kept.len()).unwrap_or(u64::MAX);
        let dropped = self.recorded.saturating_sub(kept);
        if dropped > 0 {
            writeln!(f, "... {dropped} lines before")?;
        }
        self.kept.iter().try_for_each(|line| f.write_str(line))
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes in the form that a line of a trace shows: their number, and the first of them in hexadecimal.
///
/// The digest of a trace covers only this text. A run that must be compared byte by byte records its bytes with
/// `Bytes::whole`.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a> {
    bytes: &'a [u8],
    shown: usize,
}

impl<'a> Bytes<'a> {
    /// All of `bytes`.
    #[must_use]
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self { bytes, shown: bytes.len() }
    }

    /// The first 16 of `bytes`.
    #[must_use]
    pub fn start(bytes: &'a [u8]) -> Self {
        Self { bytes, shown: bytes.len().min(16) }
    }
}

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.bytes.len())?;
        self.bytes.iter().take(self.shown).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        if self.shown < self.bytes.len() { f.write_str("..") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_lines(keep: usize) -> Transcript {
        let mut transcript = Transcript::new(keep);
        transcript.record(0, "client", "connect");
        transcript.record(1_000, "server", "accept");
        transcript.record(2_000, "client", "opened");
        transcript
    }

    #[test]
    fn the_digest_covers_the_lines_that_were_not_kept() {
        assert_eq!(three_lines(1).digest(), three_lines(3).digest());
        let mut other = Transcript::new(1);
        other.record(0, "client", "another start");
        other.record(1_000, "server", "accept");
        other.record(2_000, "client", "opened");
        assert_ne!(other.digest(), three_lines(1).digest());
    }

    #[test]
    fn the_digest_is_sha1_of_the_text() {
        let transcript = three_lines(3);
        assert_eq!(transcript.digest(), Sha1::from(transcript.to_string()).digest().to_string());
    }

    #[test]
    fn the_text_says_how_many_lines_are_missing() {
        assert_eq!(three_lines(1).to_string(), "... 2 lines before\n2000 client opened\n");
        assert_eq!(three_lines(3).recorded(), 3);
    }

    #[test]
    fn a_line_break_cannot_forge_a_line() {
        let mut forged = Transcript::new(9);
        forged.record(0, "client", "text\n1 server accept");
        assert_eq!(forged.to_string().lines().count(), 1);
    }

    #[test]
    fn bytes_are_shown_with_their_length() {
        assert_eq!(Bytes::whole(&[0x81, 0x00]).to_string(), "2:8100");
        assert_eq!(Bytes::start(&[0xab; 17]).to_string(), format!("17:{}..", "ab".repeat(16)));
        assert_eq!(Bytes::start(&[0xab; 16]).to_string(), format!("16:{}", "ab".repeat(16)));
    }
}
