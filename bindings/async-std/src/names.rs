//! The types of the driver under the names of one runtime.

/// Names the shared types for `$runtime`.
macro_rules! name_types {
    ($runtime:ty) => {
        /// A handle to a client that stays connected.
        pub type Client = multiwa_ws_driver::Client<$runtime>;

        /// Sets up a [`Client`].
        pub type ClientBuilder = multiwa_ws_driver::ClientBuilder<$runtime>;

        /// What a [`Client`] tells.
        pub type Updates = multiwa_ws_driver::Updates<$runtime>;

        /// The events of a [`Client`] alone.
        pub type Events = multiwa_ws_driver::Events<$runtime>;

        /// A server that lets clients in and publishes events to them.
        pub type Server = multiwa_ws_driver::Server<$runtime>;

        /// Sets up a [`Server`].
        pub type ServerBuilder = multiwa_ws_driver::ServerBuilder<$runtime>;

        /// A WebSocket over any `futures_io::AsyncRead + AsyncWrite`, without the protocol of MultiWA.
        pub type WebSocket<S> = multiwa_ws_driver::WebSocket<S, $runtime>;

        /// The reading side of a [`WebSocket`] that was split.
        pub type Reader<S> = multiwa_ws_driver::Reader<S, $runtime>;

        /// The sending side of a [`WebSocket`] that was split.
        pub type Writer<S> = multiwa_ws_driver::Writer<S, $runtime>;
    };
}

pub(crate) use name_types;
