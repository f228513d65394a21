//! Black-box tests of RFC 6455. The name of each test has the section that it tests. Each test runs for a client and
//! for a server.
//!
//! The test kit reads the output of an endpoint. It shares no code with the crate.

#![cfg(test)]

/// Makes two tests of each function that takes a [`Role`](multiwa_ws_core::websocket::Role): `as_client` and
/// `as_server`.
macro_rules! twins {
    ($(fn $name:ident($role:ident: Role) $body:block)*) => { $(
        fn $name($role: multiwa_ws_core::websocket::Role) $body

        mod $name {
            use multiwa_ws_core::websocket::Role;

            #[test]
            fn as_client() {
                super::$name(Role::Client);
            }

            #[test]
            fn as_server() {
                super::$name(Role::Server);
            }
        }
    )* };
}

mod closing;
mod control;
mod keep_alive;
mod limits;
mod memory;
mod messages;
#[cfg(feature = "deflate")]
mod properties;
mod room;
mod sending;
