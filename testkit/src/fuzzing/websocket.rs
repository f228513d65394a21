//! Settings of the connections under test.

use multiwa_ws_core::KeepAlive;
use multiwa_ws_core::websocket::{Config, Role};

/// Limits that no input reaches, and no keep-alive.
pub(super) fn without_limits() -> Config {
    Config::new().max_message_len(usize::MAX).max_frame_len(u64::MAX).max_fragments(u32::MAX).keep_alive(KeepAlive::OFF)
}

/// The role whose peer is `role`.
pub(super) fn opposite(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}
