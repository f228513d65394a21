//! The body of a refusal, up to a limit.

use alloc::vec::Vec;

use super::error::ResponseError;
use super::headers::{Headers, Single};

/// Reads a response body up to a limit.
#[derive(Debug)]
pub(super) struct BodyReader {
    kept: Vec<u8>,
    max: usize,
    framing: Framing,
}

/// How the end of the body is marked (RFC 9112 section 6.3).
#[derive(Debug)]
enum Framing {
    /// The body has this many more bytes.
    Length(u64),
    Chunked(Chunked),
    UntilEof,
}

/// The position in a chunked body (RFC 9112 section 7.1).
#[derive(Debug)]
enum Chunked {
    /// In the line with a chunk's size.
    Size(Vec<u8>),
    /// In a chunk with this many more bytes.
    Data(u64),
    /// In the line end after a chunk's data.
    DataEnd,
    /// In the trailers, after this many bytes of a line.
    Trailer(usize),
}

/// The largest length of the line with a chunk's size and extensions. The size has at most 16 hexadecimal digits;
/// extensions are practically unused.
const MAX_SIZE_LINE: usize = 256;

/// The result of reading some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    /// The whole body was read.
    Complete,
    /// The rest is too long or has invalid framing.
    CutOff,
}

impl BodyReader {
    pub(super) fn new(status: u16, headers: &Headers, max: usize) -> Result<Self, ResponseError> {
        let framing = match (status, headers.list("Transfer-Encoding").last(), headers.single("Content-Length")) {
            // RFC 9112 section 6.3, in its order: first the statuses without a body, then the last transfer encoding,
            // then the length.
            (204 | 304, ..) => Framing::Length(0),
            (_, Some(last), _) if last.eq_ignore_ascii_case(b"chunked") => Framing::Chunked(Chunked::Size(Vec::new())),
            (_, Some(_), _) | (_, None, Single::Missing) => Framing::UntilEof,
            (_, None, Single::Value(value)) => Framing::Length(content_length(value)?),
            (_, None, Single::Repeated) => return Err(ResponseError::ContentLength),
        };
        Ok(Self { kept: Vec::new(), max, framing })
    }

    /// Reads the bytes of the body from `input`.
    pub(super) fn read(&mut self, input: &mut &mut [u8]) -> Progress {
        let mut rest: &[u8] = input;
        let progress = loop {
            if let Some(progress) = self.step(&mut rest) {
                break progress;
            }
        };
        let taken = input.len() - rest.len();
        *input = core::mem::take(input).split_at_mut_checked(taken).unwrap_or_default().1;
        progress
    }

    /// Reads a run of data, or one byte of the framing. `None` means to continue.
    fn step(&mut self, rest: &mut &[u8]) -> Option<Progress> {
        match &mut self.framing {
            Framing::Length(0) => Some(Progress::Complete),
            _ if rest.is_empty() => Some(Progress::More),
            Framing::Length(left) | Framing::Chunked(Chunked::Data(left @ 1..)) => {
                let data = take(rest, left);
                self.keep(data)
            }
            Framing::UntilEof => self.keep(core::mem::take(rest)),
            Framing::Chunked(chunked) => {
                let (&byte, after) = rest.split_first()?;
                *rest = after;
                chunked.line_byte(byte)
            }
        }
    }

    /// Whether the end of the stream is the end of the body.
    pub(super) fn ends_with_stream(&self) -> bool {
        matches!(self.framing, Framing::UntilEof)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.kept
    }

    fn keep(&mut self, data: &[u8]) -> Option<Progress> {
        let room = self.max - self.kept.len();
        let fitting = data.get(..room).unwrap_or(data);
        self.kept.extend_from_slice(fitting);
        (fitting.len() < data.len()).then_some(Progress::CutOff)
    }
}

impl Chunked {
    /// Reads a byte of the framing. `None` means to continue.
    fn line_byte(&mut self, byte: u8) -> Option<Progress> {
        match (&mut *self, byte) {
            (Self::Size(line), _) => {
                // `httparse` would read a line without a digit as the last chunk.
                if line.is_empty() && !byte.is_ascii_hexdigit() {
                    return Some(Progress::CutOff);
                }
                line.push(byte);
                if byte == b'\n' {
                    *self = match httparse::parse_chunk_size(line) {
                        Ok(httparse::Status::Complete((_, 0))) => Self::Trailer(0),
                        Ok(httparse::Status::Complete((_, size))) => Self::Data(size),
                        Ok(httparse::Status::Partial) | Err(_) => return Some(Progress::CutOff),
                    };
                } else if line.len() >= MAX_SIZE_LINE {
                    return Some(Progress::CutOff);
                }
            }
            // The whole chunk was read. Its line end has two bytes.
            (Self::Data(_), b'\r') => *self = Self::DataEnd,
            (Self::DataEnd, b'\n') => *self = Self::Size(Vec::new()),
            (Self::Data(_) | Self::DataEnd, _) => return Some(Progress::CutOff),
            (Self::Trailer(0), b'\n') => return Some(Progress::Complete),
            (Self::Trailer(length), b'\n') => *length = 0,
            (Self::Trailer(_), b'\r') => {}
            (Self::Trailer(length), _) => *length += 1,
        }
        None
    }
}

/// RFC 9110 section 8.6: only digits are allowed.
fn content_length(value: &[u8]) -> Result<u64, ResponseError> {
    let digits = value.iter().all(u8::is_ascii_digit);
    let text = core::str::from_utf8(value).ok().filter(|_| digits);
    text.and_then(|text| text.parse().ok()).ok_or(ResponseError::ContentLength)
}

/// Takes at most `left` bytes from the front of `rest`.
fn take<'a>(rest: &mut &'a [u8], left: &mut u64) -> &'a [u8] {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
    let (bytes, after) = rest.split_at_checked(count).unwrap_or_default();
    *rest = after;
    *left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 10;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in fields {
            headers.append(name, value).unwrap();
        }
        headers
    }

    /// Reads `body` in pieces of `size` bytes. Returns the last progress, the bytes kept and the number of bytes left.
    fn read(fields: &[(&str, &str)], body: &[u8], size: usize) -> (Progress, Vec<u8>, usize) {
        let mut reader = BodyReader::new(401, &headers(fields), MAX).unwrap();
        let mut bytes = Vec::from(body);
        let mut left = bytes.len();
        let mut progress = reader.read(&mut &mut [][..]);
        for chunk in bytes.chunks_mut(size) {
            if progress != Progress::More {
                break;
            }
            let mut input = chunk;
            let before = input.len();
            progress = reader.read(&mut input);
            left -= before - input.len();
        }
        (progress, reader.into_bytes(), left)
    }

    #[test]
    fn a_body_ends_as_its_framing_says_however_it_is_cut() {
        let chunked = &[("Transfer-Encoding", "gzip, Chunked")][..];
        let trailers = b"3;ext=\"x\"\r\nabc\r\n004 \r\ndefg\r\n0\r\nX-T: 1\r\nY: 2\r\n\r\ntail";
        for (fields, body, expected) in [
            (&[("Content-Length", "3")][..], &b"abctail"[..], (Progress::Complete, &b"abc"[..], 4)),
            (&[("Content-Length", "0")], b"tail", (Progress::Complete, b"", 4)),
            (&[("Content-Length", "10")], b"0123456789tail", (Progress::Complete, b"0123456789", 4)),
            (&[("Content-Length", "4")], b"abc", (Progress::More, b"abc", 0)),
            (&[], b"0123456789", (Progress::More, b"0123456789", 0)),
            (&[("Transfer-Encoding", "gzip")], b"abc", (Progress::More, b"abc", 0)),
            (chunked, b"0\r\n\r\ntail", (Progress::Complete, b"", 4)),
            (chunked, b"A\r\n0123456789\r\n0\r\n\r\ntail", (Progress::Complete, b"0123456789", 4)),
            (chunked, trailers, (Progress::Complete, b"abcdefg", 4)),
            (chunked, b"3\r\nab", (Progress::More, b"ab", 0)),
        ] {
            for size in 1..=body.len() {
                let (progress, kept, left) = read(fields, body, size);
                assert_eq!((progress, kept.as_slice(), left), expected, "{fields:?} {size}");
            }
        }
    }

    #[test]
    fn a_body_over_the_limit_or_framed_wrongly_is_truncated() {
        let chunked = &[("Transfer-Encoding", "chunked")][..];
        let long_line = [b'1'; MAX_SIZE_LINE];
        for (fields, body, expected) in [
            (&[("Content-Length", "11")][..], &b"0123456789a"[..], &b"0123456789"[..]),
            (&[("Content-Length", "18446744073709551615")], b"0123456789a", b"0123456789"),
            (&[], b"0123456789a", b"0123456789"),
            (chunked, b"b\r\n0123456789a\r\n", b"0123456789"),
            (chunked, b"5\r\n01234\r\n6\r\n56789a\r\n", b"0123456789"),
            (chunked, b"x\r\n", b""),
            (chunked, b"\r\n", b""),
            (chunked, b";0\r\n", b""),
            (chunked, b" 0\r\n", b""),
            (chunked, b"1\n", b""),
            (chunked, b"11111111111111111\r\n", b""),
            (chunked, &long_line, b""),
            (chunked, b"1\r\nab", b"a"),
            (chunked, b"1\r\na\rb", b"a"),
        ] {
            for size in 1..=body.len() {
                let (progress, kept, _) = read(fields, body, size);
                assert_eq!((progress, kept.as_slice()), (Progress::CutOff, expected), "{fields:?} {size}");
            }
        }
    }

    #[test]
    fn a_length_is_one_decimal_number() {
        for value in ["", "+1", "-1", "1,1", "0x1", "1 ", "18446744073709551616"] {
            let fields = [("Content-Length", value)];
            let expected = if value == "1 " { None } else { Some(ResponseError::ContentLength) };
            assert_eq!(BodyReader::new(401, &headers(&fields), MAX).err(), expected, "{value:?}");
        }
        let twice = headers(&[("Content-Length", "1"), ("Content-Length", "1")]);
        assert_eq!(BodyReader::new(401, &twice, MAX).err(), Some(ResponseError::ContentLength));
    }

    #[test]
    fn some_statuses_have_no_body() {
        for status in [204, 304] {
            let mut reader = BodyReader::new(status, &headers(&[("Content-Length", "5")]), MAX).unwrap();
            assert_eq!(reader.read(&mut &mut [][..]), Progress::Complete);
        }
    }
}
