//! The client side of the driver under a model checker: handles, updates, requests, the driver and the wakers between them.
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" cargo test --locked --manifest-path tests/loom/Cargo.toml
//! ```
//!
//! [loom](https://docs.rs/loom) runs each model again and again, each time with another order of the steps of its threads, a step
//! being a lock that is taken or a thread that is woken. It finds a deadlock, a wake that is lost (a thread that sleeps while
//! nothing can wake it), a panic, and whatever a model asserts. Orders with more than [`PREEMPTIONS`] switches away from a thread
//! that could go on are left out; `LOOM_MAX_PREEMPTIONS` allows more.
//!
//! It is loom and not shuttle, which draws orders at random, since the state of a client is small: one lock, so that every order
//! can be visited. It does serve the `Waker`s of std: `loom::future::block_on` makes them of a thread of the model.
//! `driver/src/sync.rs` names what is replaced. `Arc` is not: what counts references is not
//! explored.
#![cfg(all(test, loom))]

mod handles;
mod kit;
mod requests;
mod updates;
mod wakers;
