//! The clock of the standard library for the driver.

use std::sync::OnceLock;
use std::time;

use multiwa_ws_core::Instant;
use multiwa_ws_driver::Clock;

/// The type that selects the standard library's clock in the shared types.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Std;

impl Clock for Std {
    fn now() -> Instant {
        Instant::from_nanos(u64::try_from(epoch().elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The time of the first call.
fn epoch() -> time::Instant {
    static EPOCH: OnceLock<time::Instant> = OnceLock::new();
    *EPOCH.get_or_init(time::Instant::now)
}
