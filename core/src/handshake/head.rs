//! Reads the head of an HTTP message that arrives in pieces of any size.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::error::HeadError;
use super::headers::Headers;
use super::limits::HandshakeLimits;

/// Finds the end of a head in arriving bytes, and refuses an invalid head at its first wrong byte.
///
/// Each byte is read once here and once by `httparse`, which gets only whole heads. So the work is linear, also for small
/// pieces. Bytes are copied only when a head is split over several inputs.
pub(super) struct HeadReader {
    /// The required first bytes.
    prefix: &'static [u8],
    limits: HandshakeLimits,
    stash: Vec<u8>,
    scanned: usize,
    lines: usize,
    line_bytes: usize,
    carriage_return: bool,
}

/// A whole head, including its empty line.
pub(super) struct Head<'a> {
    bytes: Cow<'a, [u8]>,
    fields: usize,
}

/// The reason why the bytes so far cannot become a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadError {
    /// This byte does not match the prefix.
    Unexpected(u8),
    StartLineTooLong,
    Head(HeadError),
}

impl HeadReader {
    pub(super) fn new(prefix: &'static [u8], limits: HandshakeLimits) -> Self {
        Self { prefix, limits, stash: Vec::new(), scanned: 0, lines: 0, line_bytes: 0, carriage_return: false }
    }

    /// Whether no byte of a head was read yet.
    pub(super) fn is_untouched(&self) -> bool {
        self.scanned == 0
    }

    /// The memory held for an incomplete head, in bytes.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.stash.capacity()
    }

    /// Reads the bytes of the head from `input`, and no bytes after it.
    ///
    /// After a whole head the reader is ready for the next one.
    pub(super) fn read<'x>(&mut self, input: &mut &'x mut [u8]) -> Result<Option<Head<'x>>, ReadError> {
        let mut end = None;
        for (index, &byte) in input.iter().enumerate() {
            if self.scan(byte)? {
                end = Some(index + 1);
                break;
            }
        }
        let Some(end) = end else {
            self.stash.extend_from_slice(input);
            *input = &mut [];
            return Ok(None);
        };
        let (head, rest) = core::mem::take(input).split_at_mut_checked(end).unwrap_or_default();
        *input = rest;
        let bytes = if self.stash.is_empty() {
            Cow::Borrowed(&*head)
        } else {
            self.stash.extend_from_slice(head);
            Cow::Owned(core::mem::take(&mut self.stash))
        };
        // The start line and the empty line are not fields.
        let fields = self.lines.saturating_sub(2);
        *self = Self::new(self.prefix, self.limits);
        Ok(Some(Head { bytes, fields }))
    }

    /// Checks one byte. Returns `true` if it is the last byte of the head.
    fn scan(&mut self, byte: u8) -> Result<bool, ReadError> {
        if self.prefix.get(self.scanned).is_some_and(|&expected| expected != byte) {
            return Err(ReadError::Unexpected(byte));
        }
        if self.scanned == self.limits.max_head_bytes {
            return Err(ReadError::Head(HeadError::TooLong));
        }
        self.scanned += 1;
        match byte {
            // RFC 9112 section 2.2 allows a recipient to accept a bare LF as a line end. Recipients that do and
            // recipients that do not would then read different messages, so a bare LF is refused.
            b'\n' if !self.carriage_return => Err(ReadError::Head(HeadError::BareLineFeed)),
            b'\n' => {
                let end = self.line_bytes == 0;
                self.carriage_return = false;
                self.line_bytes = 0;
                self.lines += 1;
                Ok(end)
            }
            _ if self.carriage_return => Err(ReadError::Head(HeadError::BareCarriageReturn)),
            b'\r' => {
                self.carriage_return = true;
                Ok(false)
            }
            // RFC 9112 section 5.2: a server must refuse or rewrite a folded line.
            b' ' | b'\t' if self.line_bytes == 0 => Err(ReadError::Head(HeadError::ObsoleteFolding)),
            _ => {
                self.line_bytes += 1;
                if self.lines == 0 && self.line_bytes > self.limits.max_request_line_bytes {
                    return Err(ReadError::StartLineTooLong);
                }
                if self.lines > self.limits.max_header_fields {
                    return Err(ReadError::Head(HeadError::TooManyFields));
                }
                Ok(false)
            }
        }
    }
}

/// The output omits the bytes: the request may contain the API key.
impl fmt::Debug for HeadReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeadReader({} bytes)", self.scanned)
    }
}

impl Head<'_> {
    /// The target, the minor version and the header fields of a request.
    #[cfg(feature = "server")]
    pub(super) fn parse_request(&self) -> Result<(&str, u8, Headers), HeadError> {
        let mut fields = vec![httparse::EMPTY_HEADER; self.fields];
        let mut request = httparse::Request::new(&mut fields);
        let end = request.parse(&self.bytes).map_err(head_error)?;
        let (Some(target), Some(minor)) = (request.path, request.version) else {
            return Err(HeadError::StartLine);
        };
        Ok((target, minor, self.collect(end, request.headers)?))
    }

    /// The status, the minor version and the header fields of a response.
    pub(super) fn parse_response(&self) -> Result<(u16, u8, Headers), HeadError> {
        let mut fields = vec![httparse::EMPTY_HEADER; self.fields];
        let mut response = httparse::Response::new(&mut fields);
        let end = response.parse(&self.bytes).map_err(head_error)?;
        let (Some(status), Some(minor)) = (response.code, response.version) else {
            return Err(HeadError::StartLine);
        };
        Ok((status, minor, self.collect(end, response.headers)?))
    }

    fn collect(&self, end: httparse::Status<usize>, fields: &[httparse::Header<'_>]) -> Result<Headers, HeadError> {
        // Both parsers must find the same end of the head. Otherwise they have read different messages.
        if end != httparse::Status::Complete(self.bytes.len()) {
            return Err(HeadError::StartLine);
        }
        let mut headers = Headers::new();
        for field in fields {
            headers.append(field.name, field.value)?;
        }
        Ok(headers)
    }
}

fn head_error(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::HeaderName => HeadError::FieldName,
        httparse::Error::HeaderValue => HeadError::FieldValue,
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
        httparse::Error::Version => HeadError::Version,
        httparse::Error::NewLine | httparse::Error::Status | httparse::Error::Token => HeadError::StartLine,
    }
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    fn limits() -> HandshakeLimits {
        HandshakeLimits::default()
    }

    /// Reads `text` in pieces of `size` bytes. Returns the result and the number of bytes left.
    fn feed(limits: HandshakeLimits, text: &str, size: usize) -> (Result<bool, ReadError>, usize) {
        let mut reader = HeadReader::new(b"GET ", limits);
        let mut bytes = Vec::from(text);
        let total = bytes.len();
        let mut taken = 0;
        for chunk in bytes.chunks_mut(size) {
            let mut input = chunk;
            let before = input.len();
            match reader.read(&mut input) {
                Ok(None) => {}
                Ok(Some(head)) => {
                    assert_eq!(head.parse_request().map(|_| ()), Ok(()));
                    return (Ok(true), total - taken - (before - input.len()));
                }
                Err(error) => return (Err(error), 0),
            }
            taken += before;
        }
        (Ok(false), 0)
    }

    fn head(fields: usize) -> String {
        let mut text = String::from("GET / HTTP/1.1\r\n");
        for index in 0..fields {
            text += &format!("X-{index}: {index}\r\n");
        }
        text + "\r\n"
    }

    #[test]
    fn a_head_is_taken_to_its_last_byte_however_it_is_cut() {
        let text = head(3) + "tail";
        for size in 1..=text.len() {
            let (result, left) = feed(limits(), &text, size);
            assert_eq!(result, Ok(true), "{size}");
            assert_eq!(left, 4, "{size}");
        }
    }

    #[test]
    fn the_number_of_fields_is_limited() {
        assert_eq!(feed(limits(), &head(64), 7).0, Ok(true));
        assert_eq!(feed(limits(), &head(65), 7).0, Err(ReadError::Head(HeadError::TooManyFields)));
    }

    #[test]
    fn the_bytes_of_a_head_are_limited() {
        let text = head(5);
        let exact = limits().max_head_bytes(text.len());
        let short = limits().max_head_bytes(text.len() - 1);
        for size in [1, 16, text.len()] {
            assert_eq!(feed(exact, &text, size).0, Ok(true));
            assert_eq!(feed(short, &text, size).0, Err(ReadError::Head(HeadError::TooLong)));
        }
    }

    #[test]
    fn the_start_line_is_limited() {
        let text = head(0);
        let exact = limits().max_request_line_bytes(14);
        let short = limits().max_request_line_bytes(13);
        assert_eq!(feed(exact, &text, 1).0, Ok(true));
        assert_eq!(feed(short, &text, 1).0, Err(ReadError::StartLineTooLong));
    }

    #[test]
    fn each_broken_line_end_is_refused_where_it_stands() {
        for (text, error) in [
            ("GET / HTTP/1.1\nHost: a\n\n", HeadError::BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: a\n", HeadError::BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", HeadError::BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: a\rb", HeadError::BareCarriageReturn),
            ("GET / HTTP/1.1\r\n\r\r", HeadError::BareCarriageReturn),
            ("GET / HTTP/1.1\r\nHost: a\r\n b", HeadError::ObsoleteFolding),
            ("GET / HTTP/1.1\r\n\tb", HeadError::ObsoleteFolding),
        ] {
            for size in 1..=text.len() {
                assert_eq!(feed(limits(), text, size).0, Err(ReadError::Head(error)), "{text:?}");
            }
        }
    }

    #[test]
    fn a_wrong_first_byte_is_refused_at_once() {
        for (text, byte) in [("\x16\x03\x01", 0x16), ("GEX", b'X'), ("\r\nGET /", b'\r'), ("GET\t", b'\t')] {
            assert_eq!(feed(limits(), text, 1).0, Err(ReadError::Unexpected(byte)), "{text:?}");
        }
    }

    #[test]
    fn a_head_in_pieces_is_held_until_it_is_whole_and_never_shown() {
        let mut bytes = Vec::from(head(2));
        let mut reader = HeadReader::new(b"GET ", limits());
        let (mut first, mut second) = bytes.split_at_mut(20);
        assert!(reader.read(&mut first).unwrap().is_none());
        assert!((20..=40).contains(&reader.buffered_bytes()));
        assert_eq!(format!("{reader:?}"), "HeadReader(20 bytes)");
        assert!(reader.read(&mut second).unwrap().is_some());
        assert_eq!(reader.buffered_bytes(), 0);
    }

    #[test]
    fn a_head_in_one_piece_is_not_copied() {
        let mut bytes = Vec::from(head(2));
        let mut reader = HeadReader::new(b"GET ", limits());
        let mut input = bytes.as_mut_slice();
        let head = reader.read(&mut input).unwrap().unwrap();
        assert!(matches!(head.bytes, Cow::Borrowed(_)));
        assert_eq!(reader.buffered_bytes(), 0);
    }
}
