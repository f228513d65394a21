//! The rules that a byte string can break.

/// One rule of the protocol that a sender broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A reserved bit is set that belongs to no extension.
    ReservedBit,
    /// RSV1 is set on a control frame or on a continuation.
    MisplacedRsv1,
    /// The opcode is one of 3 to 7 or 11 to 15.
    ReservedOpcode,
    /// A control frame without FIN.
    FragmentedControl,
    /// A control frame with more than 125 bytes of payload.
    ControlTooLong,
    /// A continuation without an unfinished message.
    NothingToContinue,
    /// A text or binary frame inside an unfinished message.
    DataInsideMessage,
    /// A frame of a client without a masking key.
    ClientMustMask,
    /// A frame of a server with a masking key.
    ServerMustNotMask,
    /// The payload length takes more bytes than it needs.
    LengthNotMinimal,
    /// The 64-bit payload length has its most significant bit set.
    LengthTooLarge,
    /// The body of a Close frame is one byte long.
    CloseBodyTooShort,
    /// The status code of a Close frame must not be sent.
    CloseCode,
    /// The reason of a Close frame is not UTF-8.
    CloseReasonNotUtf8,
    /// A text message is not UTF-8.
    TextNotUtf8,
}

impl Rule {
    /// Every rule, for tests that must cover all of them.
    pub const ALL: [Self; 15] = [
        Self::ReservedBit,
        Self::MisplacedRsv1,
        Self::ReservedOpcode,
        Self::FragmentedControl,
        Self::ControlTooLong,
        Self::NothingToContinue,
        Self::DataInsideMessage,
        Self::ClientMustMask,
        Self::ServerMustNotMask,
        Self::LengthNotMinimal,
        Self::LengthTooLarge,
        Self::CloseBodyTooShort,
        Self::CloseCode,
        Self::CloseReasonNotUtf8,
        Self::TextNotUtf8,
    ];

    /// The RFC section of the rule.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::ClientMustMask | Self::ServerMustNotMask => "RFC 6455 section 5.1",
            Self::ReservedBit | Self::ReservedOpcode | Self::LengthNotMinimal | Self::LengthTooLarge => {
                "RFC 6455 section 5.2"
            }
            Self::NothingToContinue | Self::DataInsideMessage => "RFC 6455 section 5.4",
            Self::FragmentedControl | Self::ControlTooLong => "RFC 6455 section 5.5",
            Self::CloseBodyTooShort => "RFC 6455 section 5.5.1",
            Self::CloseCode => "RFC 6455 section 7.4",
            Self::CloseReasonNotUtf8 | Self::TextNotUtf8 => "RFC 6455 section 8.1",
            Self::MisplacedRsv1 => "RFC 7692 section 6",
        }
    }

    /// The status code of the Close frame that reports it (RFC 6455 section 7.4.1).
    #[must_use]
    pub fn close_code(self) -> u16 {
        match self {
            Self::CloseReasonNotUtf8 | Self::TextNotUtf8 => 1007,
            _ => 1002,
        }
    }
}
