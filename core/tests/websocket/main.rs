//! RFC 6455 from outside: each test is named by the section it proves and runs for a client and for a server.
//!
//! What an endpoint sends is read by [`wire`], which shares no code with the crate.

#![cfg(test)]

/// Makes each function that takes a [`Role`](multiwa_ws_core::websocket::Role) two tests, `as_client` and `as_server`.
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
mod endpoint;
mod keep_alive;
mod limits;
mod memory;
mod messages;
mod properties;
mod sending;
mod wire;
