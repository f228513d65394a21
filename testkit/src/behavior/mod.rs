//! The test kit of one suite over all bindings and both roles.
//!
//! - [`client`]: a client of any binding, and [`server`]: a server of any binding, with the interface that scenarios
//!   use. [`driver`] and [`blocking`] adapt the bindings to these traits. No other module depends on the API of a
//!   binding.
//! - [`peer`]: complete servers for clients to connect to: ours, and those of other libraries, which are [`programs`].
//! - [`gateways`]: servers of the socket.io dialect, which are programs too.
//! - [`scripted`]: servers that follow a script of the scenario, including steps that no correct server takes.
//! - [`raw`]: clients for servers to talk to, which send and receive messages unchanged.
//! - [`browser`]: the page of the source document in Chromium.
//! - [`tls`]: certificates for all of them.
//! - [`report`]: runs scenarios by binding and prints the results as a table.
//!
//! All calls here block, and [`LIMIT`] bounds every wait. Only a failing scenario takes that long.

pub mod blocking;
pub mod browser;
pub mod client;
pub mod driver;
mod failure;
pub mod gateways;
pub mod peer;
pub mod programs;
pub mod raw;
pub mod report;
pub mod scripted;
pub mod server;
pub mod tls;

use std::time::{Duration, Instant};

pub use failure::{Failure, Outcome, ensure, same};

/// Longer than any step takes, even on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A deadline that does not pass during the test.
pub const NEVER: Duration = Duration::from_secs(3_600);

/// Calls `condition` repeatedly until it returns a value.
///
/// # Errors
/// If it returns no value within [`LIMIT`]. The message names `what`.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> Outcome<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = condition() {
            return Ok(found);
        }
        ensure(Instant::now() < deadline, || format!("waited in vain for {what}"))?;
        std::thread::sleep(Duration::from_millis(2));
    }
}
