//! `demo`.

use std::collections::BTreeSet;

use crate::support::{ended, run, start, wait_for};

/// The figures of the last line on standard error.
fn figures(err: &str) -> Vec<(&str, &str)> {
    err.lines().last().unwrap_or_default().split(' ').filter_map(|figure| figure.split_once('=')).collect()
}

#[test]
fn every_event_is_delivered_once_and_printed() {
    let ended = run(&["demo", "--seconds", "1", "--rate", "100", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let events: Vec<serde_json::Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: BTreeSet<_> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert!(names.into_iter().eq(["message.ack", "message.received", "qr.updated", "session.status"]));
    let profiles: BTreeSet<_> = events.iter().filter_map(|event| event["profileId"].as_str()).collect();
    assert_eq!(profiles.len(), 3);
    let count = events.len().to_string();
    let figures = figures(&ended.err);
    let [published, delivered, lost, duplicated, rtt] = figures[..] else { panic!("{}", ended.err) };
    assert_eq!((published, delivered), (("published", count.as_str()), ("delivered", count.as_str())));
    assert_eq!((lost, duplicated), (("lost", "0"), ("duplicated", "0")));
    assert!(rtt.0 == "rtt_ms" && rtt.1.parse::<f64>().unwrap() > 0.0);
}

#[test]
fn events_are_readable_and_without_color_unless_on_a_terminal() {
    let ended = run(&["demo", "--seconds", "1", "--rate", "20"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out.contains(" message.received ") && !ended.out.contains('\u{1b}'), "{}", ended.out);
}

#[test]
fn f_24_sigterm_ends_it_with_0_and_ctrl_c_with_130_and_the_figures_so_far() {
    for (signal, code) in [("INT", 130), ("TERM", 0)] {
        let mut demo = start(&["demo", "--seconds", "600", "--rate", "20"]);
        wait_for(&mut demo, "message.received");
        demo.signal(signal).unwrap();
        let ended = ended(demo);
        assert_eq!(ended.code, Some(code), "{signal}");
        assert_eq!(figures(&ended.err).len(), 5, "{}", ended.err);
    }
}
