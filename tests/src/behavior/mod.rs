//! One suite over all bindings and both roles: what its scenarios are written against.
//!
//! - [`client`]: a client of any binding, and [`server`]: a server of any binding, as scenarios see them. [`driver`] and
//!   [`blocking`] fit the bindings to these traits, and are the only places that know their API.
//! - [`peer`]: whole servers for clients to talk to: ours, and those of other libraries, which are [`programs`].
//! - [`scripted`]: servers whose every step a scenario writes, such as no correct server takes.
//! - [`raw`]: clients that send and show messages as they are, for servers to talk to.
//! - [`browser`]: the page of the source document in Chromium.
//! - [`tls`]: certificates for all of them.
//! - [`report`]: runs scenarios by binding and prints what they found as a table.
//!
//! Everything here blocks, and every wait is bounded by [`LIMIT`]: only a failing scenario takes that long.

pub mod blocking;
pub mod browser;
pub mod client;
pub mod driver;
mod failure;
pub mod peer;
pub mod programs;
pub mod raw;
pub mod report;
pub mod scripted;
pub mod server;
pub mod tls;

use std::time::{Duration, Instant};

pub use failure::{Failure, Outcome, ensure, same};

/// Longer than any step takes, however busy the machine is.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A deadline that does not pass.
pub const NEVER: Duration = Duration::from_secs(3_600);

/// Asks `condition` again and again until it gives something.
///
/// # Errors
/// When it gave nothing within [`LIMIT`]; `what` was waited for.
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
