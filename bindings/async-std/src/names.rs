//! Type aliases of the driver's types for one runtime.

/// Defines the aliases for `$runtime`.
macro_rules! name_types {
    ($runtime:ty) => {
        /// A handle to a client that stays connected.
        pub type Client = multiwa_ws_driver::Client<$runtime>;

        /// Builds a [`Client`].
        pub type ClientBuilder = multiwa_ws_driver::ClientBuilder<$runtime>;

        /// The updates of a [`Client`]: events, and changes of the connection.
        pub type Updates = multiwa_ws_driver::Updates<$runtime>;

        /// The events of a [`Client`] only.
        pub type Events = multiwa_ws_driver::Events<$runtime>;

        /// A server that accepts clients and publishes events to them.
        pub type Server = multiwa_ws_driver::Server<$runtime>;

        /// Builds a [`Server`].
        pub type ServerBuilder = multiwa_ws_driver::ServerBuilder<$runtime>;

        /// A client of a [`Server`] that was accepted behind another HTTP server.
        #[cfg(feature = "http")]
        pub type UpgradeTicket = multiwa_ws_driver::UpgradeTicket<$runtime>;

        /// A WebSocket over any `futures_io::AsyncRead + AsyncWrite`, without the MultiWA protocol.
        pub type WebSocket<S> = multiwa_ws_driver::WebSocket<S, $runtime>;

        /// The reading half of a split [`WebSocket`].
        pub type Reader<S> = multiwa_ws_driver::Reader<S, $runtime>;

        /// The writing half of a split [`WebSocket`].
        pub type Writer<S> = multiwa_ws_driver::Writer<S, $runtime>;

        /// A [`WebSocket`] as a `Stream` and a `Sink` of messages.
        pub type MessageStream<S> = multiwa_ws_driver::MessageStream<S, $runtime>;

        /// A [`Writer`] as a `Sink` of messages.
        pub type MessageSink<S> = multiwa_ws_driver::MessageSink<S, $runtime>;
    };
}

pub(crate) use name_types;
