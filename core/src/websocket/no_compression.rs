//! Without the feature `deflate` no message is compressed: a connection has no inflater and no compressor.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Config, Negotiated, ProtocolError, Role, SendError};

/// There is none.
pub(super) enum Inflater {}

/// There is none.
pub(super) enum Compressor {}

impl Negotiated {
    pub(super) fn inflater(&self, _: Role) -> Option<Box<Inflater>> {
        None
    }

    pub(super) fn compressor(&self, _: Role, _: &Config) -> Option<Box<Compressor>> {
        None
    }
}

impl Inflater {
    pub(super) fn inflate(
        &mut self,
        _: &[u8],
        _: bool,
        _: impl FnMut(&[u8]) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        match *self {}
    }

    pub(super) fn release(&mut self) {
        match *self {}
    }
}

impl Compressor {
    pub(super) fn wants(&self, _: usize) -> bool {
        match *self {}
    }

    pub(super) fn takes_shared(&self) -> bool {
        match *self {}
    }

    pub(super) fn compress(&mut self, _: &[u8], _: bool) -> Result<Vec<u8>, SendError> {
        match *self {}
    }

    pub(super) fn reuse(&mut self, _: Vec<u8>) {
        match *self {}
    }

    pub(super) fn release_memory(&mut self) {
        match *self {}
    }
}

pub(super) const fn compressed_bound(len: usize) -> usize {
    len
}
