//! The types that a binding names with its own runtime: on tokio, `Client` stands for `generic::Client<Tokio>`.
//!
//! They are implemented once, for every runtime `R`. Rustdoc cannot search or link the methods of a type alias. So this module
//! has the pages of the types themselves, with the same methods.

#[cfg(feature = "http")]
pub use crate::UpgradeTicket;
pub use crate::{
    Client, ClientBuilder, Events, MessageSink, MessageStream, Reader, Server, ServerBuilder, Updates, WebSocket,
    Writer,
};

/// Names the types of [`generic`](crate::generic) for one runtime. The crate re-exports
/// [`binding`](crate::binding) at its root.
#[macro_export]
macro_rules! name_types {
    ($runtime:ty) => {
        /// A handle to a client that stays connected. Its methods: [`generic::Client`](crate::generic::Client).
        pub type Client = $crate::Client<$runtime>;

        /// Builds a [`Client`]. Its methods: [`generic::ClientBuilder`](crate::generic::ClientBuilder).
        pub type ClientBuilder = $crate::ClientBuilder<$runtime>;

        /// The updates of a [`Client`]: events, and changes of the connection. Its methods:
        /// [`generic::Updates`](crate::generic::Updates).
        pub type Updates = $crate::Updates<$runtime>;

        /// The events of a [`Client`] only. Its methods: [`generic::Events`](crate::generic::Events).
        pub type Events = $crate::Events<$runtime>;

        /// A server that accepts clients and publishes events to them. Its methods:
        /// [`generic::Server`](crate::generic::Server).
        pub type Server = $crate::Server<$runtime>;

        /// Builds a [`Server`]. Its methods: [`generic::ServerBuilder`](crate::generic::ServerBuilder).
        pub type ServerBuilder = $crate::ServerBuilder<$runtime>;

        /// A client of a [`Server`] that was accepted behind another HTTP server: see
        /// [`generic::UpgradeTicket`](crate::generic::UpgradeTicket).
        #[cfg(feature = "http")]
        pub type UpgradeTicket = $crate::UpgradeTicket<$runtime>;

        /// A WebSocket over any `AsyncRead + AsyncWrite`, without the MultiWA protocol. Its methods:
        /// [`generic::WebSocket`](crate::generic::WebSocket).
        pub type WebSocket<S> = $crate::WebSocket<S, $runtime>;

        /// The reading half of a split [`WebSocket`]. Its methods: [`generic::Reader`](crate::generic::Reader).
        pub type Reader<S> = $crate::Reader<S, $runtime>;

        /// The writing half of a split [`WebSocket`]. Its methods: [`generic::Writer`](crate::generic::Writer).
        pub type Writer<S> = $crate::Writer<S, $runtime>;

        /// A [`WebSocket`] as a `Stream` and a `Sink` of messages: see
        /// [`generic::MessageStream`](crate::generic::MessageStream).
        pub type MessageStream<S> = $crate::MessageStream<S, $runtime>;

        /// A [`Writer`] as a `Sink` of messages: see [`generic::MessageSink`](crate::generic::MessageSink).
        pub type MessageSink<S> = $crate::MessageSink<S, $runtime>;
    };
}
