//! Checks the bytes on the wire with the reference parser.

use super::Broken;
use crate::reference::{Outcome, ParseOptions, Parsed, Role, parse};

/// Checks everything that a peer wrote after the upgrade against the RFC, and that nothing follows its Close frame.
pub(super) fn check_frames(sender: Role, written: &[u8], compresses: bool) -> Result<Parsed, Broken> {
    let parsed = parse(sender, written, ParseOptions { rsv1_allowed: compresses });
    match &parsed.outcome {
        Outcome::Incomplete => {}
        // RFC 6455 section 5.5.1: nothing is sent after a Close frame.
        Outcome::Closed { .. } => {
            let behind = written.len() - parsed.consumed;
            Broken::unless(behind == 0, || format!("{behind} bytes behind the Close frame of the {sender:?}"))?;
        }
        Outcome::Violation { rule, proven_by } => {
            let text = format!("the {sender:?} broke {rule:?} ({}) at byte {proven_by} of its frames", rule.section());
            return Err(Broken(text));
        }
    }
    Ok(parsed)
}

/// Like [`check_frames`], for everything that a peer wrote since the transport was opened. Skips the bytes before the
/// frames, and skips a response that opens no connection.
pub(super) fn check_transport(sender: Role, written: &[u8], compresses: bool) -> Result<(), Broken> {
    const END: &[u8] = b"\r\n\r\n";
    if sender == Role::Server && !written.starts_with(b"HTTP/1.1 101 ") {
        return Ok(());
    }
    let Some(head) = written.windows(END.len()).position(|window| window == END) else { return Ok(()) };
    let frames = written.get(head + END.len()..).unwrap_or_default();
    check_frames(sender, frames, compresses).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::RawFrame;

    fn text() -> Vec<u8> {
        RawFrame::text("a").encode()
    }

    #[test]
    fn nothing_may_follow_a_close_frame() {
        let close = RawFrame::close(1000, "").encode();
        let good = [text(), close.clone()].concat();
        assert!(check_frames(Role::Server, &good, false).is_ok());
        let bad = [text(), close, text()].concat();
        let broken = check_frames(Role::Server, &bad, false).unwrap_err();
        assert_eq!(broken.0, "3 bytes behind the Close frame of the Server");
    }

    #[test]
    fn a_broken_rule_is_found_behind_the_head_of_the_upgrade() {
        let written = [b"GET /ws HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), text()].concat();
        let broken = check_transport(Role::Client, &written, false).unwrap_err();
        assert!(broken.0.contains("ClientMustMask"), "{broken}");
        let written = [b"HTTP/1.1 101 \r\n\r\n".to_vec(), RawFrame::text("a").rsv(4).encode()].concat();
        assert!(check_transport(Role::Server, &written, false).is_err());
        assert!(check_transport(Role::Server, &written, true).is_ok());
    }

    #[test]
    fn a_refused_upgrade_has_no_frames() {
        assert!(check_transport(Role::Server, b"HTTP/1.1 401 \r\n\r\nno frame", false).is_ok());
        assert!(check_transport(Role::Client, b"GET /ws HT", false).is_ok());
    }
}
