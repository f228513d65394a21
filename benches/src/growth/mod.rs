//! How costs grow: curves over sizes and counts, and their plots.

pub mod back_off;
pub mod curves;
pub mod hub;
pub mod input;
pub mod plot;
pub mod timers;

use curves::Plot;

/// Prepares the measurements of a plot.
pub type Make = fn() -> Plot;

/// Every plot, with the name of its file.
pub const PLOTS: &[(&str, Make)] = &[
    ("decode-sizes", input::message_sizes),
    ("decode-fragments", input::fragments),
    ("reassembly-reads", input::reads),
    ("reassembly-sizes", input::sizes_in_small_reads),
    ("hub-receivers", hub::receivers),
    ("hub-connections", hub::connections),
    ("hub-subscriptions", hub::subscriptions),
    ("timers", timers::deadlines),
    ("back-off", back_off::attempts),
];
