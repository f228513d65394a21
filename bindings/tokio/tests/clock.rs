//! The clock that connections run by. It is one for the process: this test stands alone in its own.

use std::time::Duration;

use multiwa_ws_driver::{Clock as _, Runtime as _};
use multiwa_ws_tokio::Tokio;

#[test]
fn a_paused_clock_that_is_ahead_does_not_hold_up_the_clocks_of_other_runtimes() {
    let runtime = |paused| tokio::runtime::Builder::new_current_thread().enable_time().start_paused(paused).build();
    runtime(true).unwrap().block_on(async {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let _ = Tokio::now();
    });
    runtime(false).unwrap().block_on(async {
        let before = Tokio::now();
        Tokio::sleep_until(before + Duration::from_millis(10)).await;
        assert!(Tokio::now().saturating_duration_since(before) >= Duration::from_millis(10));
    });
}
