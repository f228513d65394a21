//! Starting the program, and servers that behave badly.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{Acceptance, HandshakeLimits, ServerHandshake};
use multiwa_ws_testkit::process::{Line, Program, Stream};
use tempfile::TempDir;

/// Longer than any of these steps takes, however busy the machine is.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The program with these arguments. The environment of the test run gives it no key.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multiwa-ws"));
    command.args(args).env_remove("MULTIWA_WS_API_KEY").env_remove("CLICOLOR_FORCE");
    command
}

pub(crate) fn start(args: &[&str]) -> Program {
    Program::start(command(args)).unwrap()
}

/// What the program wrote, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the program to its end.
pub(crate) fn run(args: &[&str]) -> Ended {
    ended(start(args))
}

/// Waits until the program ends by itself.
pub(crate) fn ended(program: Program) -> Ended {
    let (status, lines) = program.wait(LIMIT).unwrap();
    let text =
        |stream| lines.iter().filter(|line| line.stream == stream).map(|line| line.text.clone() + "\n").collect();
    Ended { code: status.code(), out: text(Stream::Out), err: text(Stream::Err) }
}

/// Waits for a line that contains `text`, on either stream.
pub(crate) fn wait_for(program: &mut Program, text: &str) -> Line {
    program.wait_for_line(LIMIT, |line| line.text.contains(text)).unwrap()
}

/// Starts a server on a free port; returns its URL too.
pub(crate) fn serve(args: &[&str]) -> (Program, String) {
    serve_at(args, "/ws")
}

/// The same with another path.
pub(crate) fn serve_at(args: &[&str], path: &str) -> (Program, String) {
    let mut server = start(&[&["serve", "--listen", "127.0.0.1:0"], args].concat());
    let line = wait_for(&mut server, "listening on ");
    assert_eq!(line.stream, Stream::Err);
    let url = line.text.strip_prefix("listening on ").unwrap().to_owned();
    assert!(url.contains("://127.0.0.1:") && url.ends_with(path), "{url}");
    (server, url)
}

/// Starts a listener and waits until it is subscribed.
pub(crate) fn listen(url: &str, args: &[&str]) -> Program {
    let mut listener = start(&[&["listen", url], args].concat());
    wait_for(&mut listener, "ready");
    listener
}

/// A server that does `behave` on every connection. Returns its URL.
pub(crate) fn bad_server(behave: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let behave = behave.clone();
            thread::spawn(move || behave(stream));
        }
    });
    url
}

/// Answers the upgrade as a server should.
pub(crate) fn upgrade(stream: &mut TcpStream) {
    let now = Instant::from_nanos(0);
    let mut handshake = ServerHandshake::new(now, HandshakeLimits::default());
    let mut buffer = [0; 4096];
    while handshake.request().is_none() {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0);
        handshake.handle_input(now, &mut &mut buffer[..length]).unwrap();
    }
    handshake.accept(now, &Acceptance::default()).unwrap();
    stream.write_all(&handshake.poll_accepted().unwrap().unsent).unwrap();
}

/// A text message of a server, short enough for the shortest header (RFC 6455 section 5.2).
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126);
    [&[0x81, length], text.as_bytes()].concat()
}

/// Takes whatever comes until the other side is gone.
pub(crate) fn swallow(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Err(error) if error.kind() != ErrorKind::Interrupted => return,
            _ => {}
        }
    }
}

/// Certificates for 127.0.0.1, in files that are gone with the test.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    pub(crate) fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        for name in ["ours", "other"] {
            let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
            fs::write(files.path(name).with_extension("pem"), made.cert.pem()).unwrap();
            fs::write(files.path(name).with_extension("key"), made.signing_key.serialize_pem()).unwrap();
        }
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The files of the certificate of an authority and of its key, as `openssl req -x509` makes them by default.
    pub(crate) fn authority(&self) -> (String, String) {
        let mut params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(self.path("authority.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(self.path("authority.key"), key.serialize_pem()).unwrap();
        (self.text("authority.pem"), self.text("authority.key"))
    }
}
