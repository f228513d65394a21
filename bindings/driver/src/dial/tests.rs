//! The steps of a dial in virtual time, without a socket.

use std::io;
use std::net::SocketAddr;

use multiwa_ws_core::Instant;
use multiwa_ws_core::handshake::{Headers, Response};
use multiwa_ws_core::session::DisconnectReason;

use super::*;

type Dialer = super::Dialer<&'static str>;
/// A socket is the address to which it is connected.
type Action = super::Action<&'static str, SocketAddr>;
type Dialing = super::Dialing<&'static str, SocketAddr>;
type Settings = DialSettings<&'static str>;

const START: Instant = Instant::from_nanos(1 << 40);

fn settings(source: Source<Destination, &'static str>) -> Settings {
    DialSettings { source, request: RequestSettings::default(), route: Route::Direct, tls: TlsSettings::default() }
}

fn to(url: &str) -> Settings {
    settings(Source::Fixed(Destination::new(url).api_key("k")))
}

fn provider() -> Settings {
    settings(Source::Provider("vault"))
}

fn attempt(settings: Settings) -> Dialing {
    Dialer::new(settings).unwrap().start(Dial::Attempt(1)).unwrap()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn redirect(location: &str) -> Dial {
    let mut headers = Headers::new();
    headers.append("Location", location).unwrap();
    Dial::Redirect(Box::new(Response { status: 302, headers, body: Vec::new(), complete: true }))
}

fn is_wait(action: &Action) -> bool {
    matches!(action, Action::Wait(None))
}

fn resolved_host(dialing: &mut Dialing) -> (String, u16) {
    match dialing.poll_action(START) {
        Action::Resolve { host, port } => (host, port),
        action => panic!("{action:?}"),
    }
}

/// Passes the steps until a socket is open.
fn connect(dialing: &mut Dialing) {
    dialing.resolved(Ok([address("1.1.1.1:1")])).unwrap();
    assert!(matches!(dialing.poll_action(START), Action::Connect(_)));
    dialing.connected(Ok(address("1.1.1.1:1"))).unwrap();
}

/// The request of an attempt without TLS that has passed all steps, with the socket.
fn done(dialing: &mut Dialing) -> (SocketAddr, String, String) {
    match dialing.poll_action(START) {
        Action::Done(socket, request) => (socket, request.host, request.target),
        action => panic!("{action:?}"),
    }
}

/// The address, the milliseconds until the end of an attempt, and its result.
type Plan = (&'static str, u64, Result<(), io::ErrorKind>);

/// Connects to the addresses of `plans` in virtual time. Returns the winner or the error, and when each attempt began.
fn race(plans: &[Plan]) -> (Result<SocketAddr, ConnectorError>, Vec<(SocketAddr, u64)>) {
    let mut dialing = attempt(to("ws://h"));
    let (mut now, mut began, mut running) = (START, Vec::new(), Vec::new());
    if let Err(error) = dialing.resolved(Ok(plans.iter().map(|(text, ..)| address(text)))) {
        return (Err(error), began);
    }
    loop {
        match dialing.poll_action(now) {
            super::Action::Connect(Address::Tcp(to)) => {
                let (_, after, outcome) = *plans.iter().find(|(text, ..)| address(text) == to).unwrap();
                began.push((to, u64::try_from(now.saturating_duration_since(START).as_millis()).unwrap()));
                running.push((now + std::time::Duration::from_millis(after), to, outcome));
            }
            super::Action::Wait(until) => {
                running.sort_by_key(|(end, ..)| std::cmp::Reverse(*end));
                let ends = running.last().map(|(end, ..)| *end);
                if until.is_some_and(|until| ends.is_none_or(|end| until < end)) {
                    now = until.unwrap();
                    continue;
                }
                let (end, to, outcome) = running.pop().expect("there is something to wait for");
                now = end;
                if let Err(error) = dialing.connected(outcome.map(|()| to).map_err(Into::into)) {
                    return (Err(error), began);
                }
            }
            super::Action::Done(socket, _) => return (Ok(socket), began),
            action => panic!("{action:?}"),
        }
    }
}

/// When each attempt began.
fn times(began: &[(SocketAddr, u64)]) -> Vec<u64> {
    began.iter().map(|(_, at)| *at).collect()
}

const NEVER: u64 = 1_000_000;
const REFUSED: Result<(), io::ErrorKind> = Err(io::ErrorKind::ConnectionRefused);

#[test]
fn families_take_turns_beginning_with_the_one_that_the_system_prefers() {
    for (addresses, order) in [
        (
            &["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"][..],
            &["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"][..],
        ),
        (&["1.1.1.1:1", "1.1.1.2:1", "[::1]:1"], &["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"]),
        (&["1.1.1.1:1"], &["1.1.1.1:1"]),
    ] {
        let plans: Vec<Plan> = addresses.iter().map(|address| (*address, 1, REFUSED)).collect();
        let tried: Vec<_> = race(&plans).1.iter().map(|(address, _)| address.to_string()).collect();
        assert_eq!(tried, order);
    }
}

#[test]
fn a_silent_address_is_overtaken_after_a_quarter_of_a_second() {
    let (result, began) = race(&[("[::1]:1", NEVER, Ok(())), ("1.1.1.1:1", 10, Ok(()))]);
    assert_eq!(result.unwrap(), address("1.1.1.1:1"));
    assert_eq!(began, [(address("[::1]:1"), 0), (address("1.1.1.1:1"), 250)]);
}

#[test]
fn attempts_go_on_beside_each_other() {
    let (result, began) = race(&[("[::1]:1", 600, Ok(())), ("1.1.1.1:1", NEVER, Ok(())), ("[::2]:1", 500, Ok(()))]);
    assert_eq!(result.unwrap(), address("[::1]:1"));
    assert_eq!(times(&began), [0, 250, 500]);
}

#[test]
fn a_failure_is_followed_by_the_next_address_at_once() {
    let (result, began) = race(&[("[::1]:1", 20, REFUSED), ("1.1.1.1:1", 30, REFUSED), ("[::2]:1", 5, Ok(()))]);
    assert_eq!(result.unwrap(), address("[::2]:1"));
    assert_eq!(times(&began), [0, 20, 50]);
}

#[test]
fn the_last_failure_is_reported_after_every_address_has_failed() {
    let (result, began) = race(&[("[::1]:1", 300, Err(io::ErrorKind::TimedOut)), ("1.1.1.1:1", 10, REFUSED)]);
    let error = result.unwrap_err();
    assert_eq!((error.reason, error.error.kind()), (DisconnectReason::Io, io::ErrorKind::TimedOut));
    assert_eq!(times(&began), [0, 250]);
}

#[test]
fn a_url_is_resolved_and_connected_to() {
    let mut dialing = attempt(to("ws://h:3001/a?x"));
    assert_eq!(resolved_host(&mut dialing), ("h".to_owned(), 3001));
    // It asks for the same again until it gets the result.
    assert_eq!(resolved_host(&mut dialing), ("h".to_owned(), 3001));
    connect(&mut dialing);
    assert_eq!(done(&mut dialing), (address("1.1.1.1:1"), "h:3001".to_owned(), "/a?x&apiKey=k".to_owned()));
    assert!(is_wait(&dialing.poll_action(START)));
}

#[test]
fn a_provider_is_asked_first_with_the_number_of_the_attempt() {
    let dialer = Dialer::new(provider()).unwrap();
    let mut dialing: Dialing = dialer.start(Dial::Attempt(3)).unwrap();
    assert!(matches!(dialing.poll_action(START), Action::Provide("vault", 3)));
    dialing.provided(&Destination::new("ws://h")).unwrap();
    assert_eq!(resolved_host(&mut dialing), ("h".to_owned(), 80));
}

#[test]
fn a_destination_that_can_never_be_dialed_stops_the_client() {
    for url in ["gateway", "http://h", "ws://me:s3cret@h"] {
        assert!(matches!(Dialer::new(to(url)), Err(DialerError::Url(_))), "{url}");
        let error = attempt(provider()).provided(&Destination::new(url)).unwrap_err();
        assert_eq!(error.reason, DisconnectReason::Stopped, "{url}");
    }
}

#[test]
fn a_proxy_is_dialed_in_place_of_the_server() {
    let proxy = "http://name:pass@p:3128".parse().unwrap();
    let mut dialing = attempt(Settings { route: Route::Proxy(proxy), ..to("ws://h:3001") });
    assert_eq!(resolved_host(&mut dialing), ("p".to_owned(), 3128));
    connect(&mut dialing);
    let Action::Tunnel(socket, tunnel) = dialing.poll_action(START) else { panic!("no tunnel") };
    assert!(tunnel.poll_transmit().starts_with(b"CONNECT h:3001 HTTP/1.1\r\n"));
    // The caller has the socket.
    assert!(is_wait(&dialing.poll_action(START)));
    dialing.tunneled(Ok(socket)).unwrap();
    assert_eq!(done(&mut dialing).1, "h:3001");
}

#[test]
fn each_failure_has_its_reason() {
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let none: io::Result<Vec<SocketAddr>> = Err(refused());
    assert_eq!(attempt(to("ws://h")).resolved(none).unwrap_err().reason, DisconnectReason::Dns);
    let empty = attempt(to("ws://h")).resolved(Ok([])).unwrap_err();
    assert_eq!((empty.reason, empty.error.kind()), (DisconnectReason::Dns, io::ErrorKind::NotFound));

    let proxy = "http://p".parse().unwrap();
    let mut dialing = attempt(Settings { route: Route::Proxy(proxy), ..to("ws://h") });
    connect(&mut dialing);
    let Action::Tunnel(..) = dialing.poll_action(START) else { panic!("no tunnel") };
    let error = dialing.tunneled(Err(io::Error::other(ProxyError::Unauthorized))).unwrap_err();
    assert_eq!(error.reason, DisconnectReason::Io);
}

#[test]
fn a_result_that_comes_too_late_changes_nothing() {
    let mut dialing = attempt(to("ws://h"));
    dialing.tunneled(Ok(address("1.1.1.2:1"))).unwrap();
    dialing.provided(&Destination::new("ws://other")).unwrap();
    assert_eq!(resolved_host(&mut dialing).0, "h");
    connect(&mut dialing);
    dialing.connected(Ok(address("1.1.1.2:1"))).unwrap();
    dialing.connected(Err(io::ErrorKind::ConnectionRefused.into())).unwrap();
    assert_eq!(done(&mut dialing).0, address("1.1.1.1:1"));
    dialing.connected(Ok(address("1.1.1.2:1"))).unwrap();
    assert!(is_wait(&dialing.poll_action(START)));
}

#[test]
fn a_redirect_is_dialed_from_where_the_last_stream_led() {
    let dialer = Dialer::new(to("ws://h:3001")).unwrap();
    let early = dialer.start::<SocketAddr>(redirect("/b")).unwrap_err();
    assert_eq!(early.reason, DisconnectReason::Refused { status: 302, retry_after: None });
    for (location, host, target) in [("/b", "h:3001", "/b?apiKey=k"), ("ws://g/c", "g", "/c"), ("d", "g", "/d")] {
        if location == "/b" {
            let _: Dialing = dialer.start(Dial::Attempt(1)).unwrap();
        }
        let mut dialing: Dialing = dialer.start(redirect(location)).unwrap();
        assert!(host.starts_with(&resolved_host(&mut dialing).0));
        connect(&mut dialing);
        assert_eq!(done(&mut dialing), (address("1.1.1.1:1"), host.to_owned(), target.to_owned()));
    }
}

#[test]
fn a_redirect_that_is_not_followed_is_a_refusal() {
    let dialer = Dialer::new(to("ws://h")).unwrap();
    let _: Dialing = dialer.start(Dial::Attempt(1)).unwrap();
    let error = dialer.start::<SocketAddr>(redirect("ftp://h")).unwrap_err();
    assert_eq!(error.reason, DisconnectReason::Refused { status: 302, retry_after: None });
    assert!(matches!(
        error.error.get_ref().and_then(|error| error.downcast_ref()),
        Some(RedirectError::Location(InvalidUrl::Scheme))
    ));
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_neither_resolved_nor_left_by_a_redirect() {
    let path = std::path::Path::new("/run/s");
    let dialer = Dialer::new(Settings { route: Route::Unix(path.into()), ..to("ws://h") }).unwrap();
    for dial in [Dial::Attempt(1), redirect("/b")] {
        let mut dialing: Dialing = dialer.start(dial).unwrap();
        let Action::Connect(Address::Unix(to)) = dialing.poll_action(START) else { panic!("no socket") };
        assert_eq!(&*to, path);
        assert!(is_wait(&dialing.poll_action(START)));
        dialing.connected(Ok(address("1.1.1.1:1"))).unwrap();
        assert_eq!(done(&mut dialing).1, "h");
    }
    let error = dialer.start::<SocketAddr>(redirect("ws://g/")).unwrap_err();
    assert!(error.error.to_string().contains("Unix socket"), "{}", error.error);

    let mut dialing: Dialing = dialer.start(Dial::Attempt(2)).unwrap();
    assert!(matches!(dialing.poll_action(START), Action::Connect(_)));
    let error = dialing.connected(Err(io::ErrorKind::NotFound.into())).unwrap_err();
    assert_eq!(error.reason, DisconnectReason::Io);
}

#[cfg(feature = "tls-ring")]
mod tls {
    use super::*;
    use crate::ClientTls;

    fn over_tls(settings: Settings) -> Settings {
        Settings { tls: ClientTls::builder().dangerous_accept_any_certificate().build().unwrap().into(), ..settings }
    }

    /// The TLS handshake of an attempt that has passed all other steps.
    fn secure(dialing: &mut Dialing) -> (SocketAddr, Secure) {
        match dialing.poll_action(START) {
            Action::Tls(socket, secure) => (socket, secure),
            action => panic!("{action:?}"),
        }
    }

    #[test]
    fn tls_is_the_last_step_and_names_the_server_behind_a_proxy() {
        let proxy = "http://p".parse().unwrap();
        let mut dialing = attempt(Settings { route: Route::Proxy(proxy), ..over_tls(to("wss://h/ws")) });
        assert_eq!(resolved_host(&mut dialing), ("p".to_owned(), 80));
        connect(&mut dialing);
        let Action::Tunnel(socket, tunnel) = dialing.poll_action(START) else { panic!("no tunnel") };
        assert!(tunnel.poll_transmit().starts_with(b"CONNECT h:443 HTTP/1.1\r\n"));
        dialing.tunneled(Ok(socket)).unwrap();
        let (socket, secure) = secure(&mut dialing);
        assert_eq!(secure.name.to_str(), "h");
        let (_, request) = secure.finish(Ok(socket)).unwrap();
        assert_eq!(request.target, "/ws?apiKey=k");
        assert!(is_wait(&dialing.poll_action(START)));
    }

    #[test]
    fn each_failure_of_tls_has_its_reason() {
        let invalid = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        for (error, reason) in [
            (io::Error::other(invalid), DisconnectReason::TlsCertificate),
            (io::Error::other(rustls::Error::NoCertificatesPresented), DisconnectReason::TlsCertificate),
            (io::Error::other(rustls::Error::DecryptError), DisconnectReason::Tls),
            (io::ErrorKind::ConnectionReset.into(), DisconnectReason::Io),
        ] {
            let mut dialing = attempt(over_tls(to("wss://h")));
            connect(&mut dialing);
            let failed = secure(&mut dialing).1.finish::<()>(Err(error)).unwrap_err();
            assert_eq!(failed.reason, reason, "{}", failed.error);
        }
    }

    #[test]
    fn sec_hs_14_a_redirect_leads_to_tls_and_never_from_it() {
        let dialer = Dialer::new(over_tls(to("ws://h"))).unwrap();
        let _: Dialing = dialer.start(Dial::Attempt(1)).unwrap();
        let mut dialing: Dialing = dialer.start(redirect("https://g/")).unwrap();
        assert_eq!(resolved_host(&mut dialing), ("g".to_owned(), 443));
        connect(&mut dialing);
        assert_eq!(secure(&mut dialing).1.name.to_str(), "g");
        let error = dialer.start::<SocketAddr>(redirect("ws://g/")).unwrap_err();
        assert!(error.error.to_string().contains("from wss to ws"), "{}", error.error);
    }
}

#[cfg(all(feature = "tls", not(any(feature = "tls-ring", feature = "tls-aws-lc"))))]
#[test]
fn tls_that_cannot_be_configured_stops_the_client() {
    assert!(matches!(Dialer::new(to("wss://h")), Err(DialerError::Tls(_))));
    let error = attempt(provider()).provided(&Destination::new("wss://h")).unwrap_err();
    assert_eq!(error.reason, DisconnectReason::Stopped);
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_tls_a_wss_url_is_refused() {
    assert!(matches!(Dialer::new(to("wss://h")), Err(DialerError::NoTls)));
}
