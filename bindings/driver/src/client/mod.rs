//! A client that stays connected: the handles, the updates, and the task that drives the client of the core.

mod builder;
mod disconnect;
pub mod drive;
mod handle;
mod request;
mod settings;
mod shared;
mod status;
mod task;
mod update;
mod updates;

pub use builder::ClientBuilder;
pub use disconnect::{Cause, Disconnect};
pub use handle::Client;
pub use request::Request;
pub use settings::{BuildError, ClientSettings};
pub use shared::{Overflow, QueueConfig, RequestError};
pub use status::{ConnectError, Status};
pub use update::Update;
pub use updates::{Events, Updates};
