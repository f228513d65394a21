//! What a header must satisfy on one side of a connection.

use super::reserved::ReservedBits;

/// Whether frames must or must not be masked (RFC 6455 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskRule {
    /// Frames must be masked, as a server receives them.
    Required,
    /// Frames must not be masked, as a client receives them.
    Forbidden,
}

/// The rules that a header must satisfy, in addition to the rules of RFC 6455 for every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRules {
    pub(crate) mask: MaskRule,
    pub(crate) reserved: ReservedBits,
    pub(crate) max_payload_len: u64,
}

impl FrameRules {
    /// The rules of a server: masked frames of any length, no extension.
    #[must_use]
    pub const fn for_server() -> Self {
        Self { mask: MaskRule::Required, reserved: ReservedBits::NONE, max_payload_len: u64::MAX }
    }

    /// The rules of a client: unmasked frames of any length, no extension.
    #[must_use]
    pub const fn for_client() -> Self {
        Self { mask: MaskRule::Forbidden, reserved: ReservedBits::NONE, max_payload_len: u64::MAX }
    }

    /// Whether frames must be masked.
    #[must_use]
    pub const fn mask(mut self, mask: MaskRule) -> Self {
        self.mask = mask;
        self
    }

    /// The bits that negotiated extensions use on the first frame of a data message.
    #[must_use]
    pub const fn reserved(mut self, reserved: ReservedBits) -> Self {
        self.reserved = reserved;
        self
    }

    /// The longest payload of one frame, in bytes.
    #[must_use]
    pub const fn max_payload_len(mut self, bytes: u64) -> Self {
        self.max_payload_len = bytes;
        self
    }
}
