//! A minimal client of our server: its side of the upgrade, of a request and of an event.

use std::io::{self, BufRead, BufReader, Read, Write};

use crate::corpus::{EVENT, frame};

/// Requests the upgrade, offers compression if `deflate`, and waits for the first message.
pub fn upgrade<S: Read + Write>(stream: &mut BufReader<S>, deflate: bool) -> io::Result<()> {
    let offer = if deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
    );
    stream.get_mut().write_all(request.as_bytes())?;
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut compressed = false;
    if !line.starts_with("HTTP/1.1 101 ") {
        return Err(io::Error::other(line));
    }
    while line != "\r\n" {
        compressed |= line.to_ascii_lowercase().starts_with("sec-websocket-extensions: permessage-deflate");
        line.clear();
        stream.read_line(&mut line)?;
    }
    if compressed != deflate {
        return Err(io::Error::other("the server and the client do not agree about compression"));
    }
    skip(stream)
}

/// Subscribes to the events of `profile`, and waits for the answer.
pub fn subscribe<S: Read + Write>(stream: &mut BufReader<S>, profile: &str) -> io::Result<()> {
    ask(
        stream,
        &format!(
            r#"{{"type":"subscribe","payload":{{"profileId":"{profile}","events":["{EVENT}"]}},"requestId":"1"}}"#
        ),
    )
}

/// Sends a message and waits for one.
pub fn ask<S: Read + Write>(stream: &mut BufReader<S>, text: &str) -> io::Result<()> {
    let mut bytes = Vec::new();
    frame(&mut bytes, true, 0x1, Some([1, 2, 3, 4]), text.as_bytes());
    stream.get_mut().write_all(&bytes)?;
    skip(stream)
}

/// Waits for a message of at most 64 KiB.
pub fn skip(stream: &mut impl Read) -> io::Result<()> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    // The frame is a complete text message, compressed or not. The client handles no other frame.
    if head[0] & !0x40 != 0x81 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let len = match head[1] {
        126 => {
            let mut len = [0; 2];
            stream.read_exact(&mut len)?;
            u16::from_be_bytes(len).into()
        }
        len => usize::from(len),
    };
    stream.read_exact(&mut vec![0; len])
}
