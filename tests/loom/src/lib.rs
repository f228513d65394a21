//! The client side of the driver under a model checker: handles, updates, requests, the driver and the wakers between them.
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" cargo test --locked --manifest-path tests/loom/Cargo.toml
//! ```
//!
//! [loom](https://docs.rs/loom) runs each model repeatedly, each time with another order of the steps of its threads. A
//! step is a lock that is taken or a thread that is woken. It finds a deadlock, a lost wakeup (a thread that sleeps and
//! nothing can wake it), a panic, and a failed assertion of a model. Orders with more than `PREEMPTIONS` switches
//! away from a thread that could continue are left out. `LOOM_MAX_PREEMPTIONS` allows more.
//!
//! The models use loom and not shuttle, which selects orders at random. The state of a client is small: it has one
//! lock, so loom can visit every order. loom also supports the `Waker`s of std: `loom::future::block_on` creates them
//! for a thread of the model. `bindings/driver/src/sync.rs` names the replaced types. `Arc` is not replaced: loom does
//! not explore reference counts.
#![cfg(all(test, loom))]

mod handles;
mod kit;
mod requests;
mod updates;
mod wakers;
