//! The blocking client over real sockets, against our server and against peers that are scripted here.
#![cfg(test)]

mod connector;
mod dialing;
mod endings;
mod foreign_code;
mod peer;
mod server;
mod stopped;
mod stream;
mod threads;
