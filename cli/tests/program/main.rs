//! The program as its users see it: the real binary, its streams, signals and exit codes.
#![cfg(test)]

mod demo;
mod dialect;
mod doctor;
mod listen;
mod pages;
mod ping;
mod serve;
mod support;
mod tls;
mod usage;
