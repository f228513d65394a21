//! The upgrade request of a client, made of a URL, a key and settings, and how a redirect changes it.

use multiwa_ws_core::handshake::{ApiKey, ClientRequest, DeflateOffer, InvalidHeader, InvalidRequest, Response};
use multiwa_ws_core::session::Dialect;
use url::form_urlencoded;

use super::endpoint::{API_KEY, Endpoint, InvalidUrl, KeyPlacement};
#[cfg(feature = "tls")]
use crate::TlsError;

/// A server and its API key. `Debug` shows neither the key nor a query.
#[derive(Clone)]
pub struct Destination {
    url: String,
    key: Option<ApiKey>,
}

impl Destination {
    /// The server at `url`, `ws://HOST:PORT/ws` or `wss://HOST/ws`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), key: None }
    }

    /// The API key for the server.
    #[must_use]
    pub fn api_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(ApiKey::new(key));
        self
    }
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Destination").field("url", &self.url.parse::<Endpoint>()).field("key", &self.key).finish()
    }
}

/// The settings that all upgrade requests of a client share.
#[derive(Clone, Default)]
pub struct RequestSettings {
    dialect: Dialect,
    key_placement: Option<KeyPlacement>,
    origin: Option<String>,
    subprotocols: Vec<String>,
    headers: Vec<(String, String)>,
    deflate: Option<DeflateOffer>,
}

impl RequestSettings {
    /// The defaults, which each setter documents.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the client speaks. It decides about the path of a URL without one, and about the place of the key.
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The part of the request that carries the key. By default this is the query, and none in the socket.io dialect, where
    /// the CONNECT carries it.
    #[must_use]
    pub fn key_placement(mut self, placement: KeyPlacement) -> Self {
        self.key_placement = Some(placement);
        self
    }

    /// The origin of the web page on whose behalf the client acts. By default none is sent.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<Option<String>>) -> Self {
        self.origin = origin.into();
        self
    }

    /// Offers a subprotocol. Add the preferred one first.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The compression to offer. By default none is offered.
    #[must_use]
    pub fn deflate(mut self, offer: impl Into<Option<DeflateOffer>>) -> Self {
        self.deflate = offer.into();
        self
    }

    /// Builds the upgrade request for `destination`.
    ///
    /// # Errors
    /// The URL is invalid, or the request is invalid and can never be sent.
    pub fn target(&self, destination: &Destination) -> Result<Target, DialerError> {
        let is_socketio = self.dialect == Dialect::SocketIo;
        let endpoint = Endpoint::parse(&destination.url, if is_socketio { "/socket.io/" } else { "/ws" })?;
        let mut request = endpoint.request();
        if is_socketio {
            name_transport(&mut request);
        }
        if let Some(key) = &destination.key {
            if is_socketio {
                let key = std::str::from_utf8(key.expose()).map_err(|_| InvalidHeader::Value)?;
                request.connect_key = Some(key.to_owned());
            }
            match self.key_placement {
                None if is_socketio => {}
                // `socketio.md`, Events: a gateway takes a Bearer for a JWT.
                Some(KeyPlacement::Bearer) if is_socketio => {}
                placement => placement.unwrap_or_default().place(key, &mut request)?,
            }
        }
        for (name, value) in &self.headers {
            request.headers.append(name, value)?;
        }
        request.origin.clone_from(&self.origin);
        request.subprotocols.clone_from(&self.subprotocols);
        // `socketio.md`, URL: compression is declined.
        request.deflate = self.deflate.filter(|_| !is_socketio);
        request.check()?;
        Ok(Target { endpoint, request })
    }
}

/// Leaves out the headers, because they may hold a key.
impl std::fmt::Debug for RequestSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestSettings")
            .field("key_placement", &self.key_placement)
            .field("origin", &self.origin)
            .field("subprotocols", &self.subprotocols)
            .field("deflate", &self.deflate)
            .finish_non_exhaustive()
    }
}

/// An upgrade to perform: the server to dial, and the request to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The server.
    pub endpoint: Endpoint,
    /// The request.
    pub request: ClientRequest,
}

/// Why a destination can never be dialed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialerError {
    /// The URL is invalid.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// A header is invalid, or a header cannot carry the key.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// The request is invalid and could never be sent.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    /// The URL is `wss`, and the features of this build do not include TLS.
    #[error("this build has no TLS: for wss URLs, enable the feature tls-ring or tls-aws-lc")]
    NoTls,
    /// TLS cannot be configured. A `wss://` URL requires it.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// The response is not a redirect, or has no usable Location.
    #[error("the redirect of the server has no usable Location")]
    NoLocation,
    /// The Location is not a valid WebSocket URL.
    #[error("the Location of the redirect is not a WebSocket URL: {0}")]
    Location(#[from] InvalidUrl),
    /// The redirect leads from TLS to plain text.
    #[error("the server redirects from wss to ws, which is not encrypted")]
    Downgrade,
    /// The redirect leads to another origin, and this client dials one Unix socket only.
    #[error("the server redirects to another origin, and this client dials one Unix socket only")]
    CrossOrigin,
}

impl Target {
    /// Returns the upgrade for the Location of a redirect (RFC 9110 section 15.4).
    ///
    /// A redirect from `wss` to `ws` is refused. At another origin (scheme, host or port) no credential is sent. This
    /// removes the `apiKey` from the query, even if the redirect repeats it, and the headers that
    /// [`Headers::without_credentials`](multiwa_ws_core::handshake::Headers::without_credentials) removes. At the same
    /// origin the key stays in the query, whether or not the redirect repeats it.
    ///
    /// # Errors
    /// [`RedirectError`] when the redirect is not followed.
    pub fn redirected(&self, response: &Response) -> Result<Self, RedirectError> {
        let location = response.location().ok_or(RedirectError::NoLocation)?;
        let endpoint = self.endpoint.join(location)?;
        if self.endpoint.is_tls() && !endpoint.is_tls() {
            return Err(RedirectError::Downgrade);
        }
        let ClientRequest { host, target, .. } = endpoint.request();
        let mut request = ClientRequest { host, ..self.request.clone() };
        if self.endpoint.has_origin_of(&endpoint) {
            request.target = with_keys_of(&self.request.target, target);
        } else {
            request.target = without_keys(&target);
            request.connect_key = None;
            request.headers = request.headers.without_credentials();
        }
        Ok(Self { endpoint, request })
    }
}

/// Names version and transport of Engine.IO in the query, unless the URL does.
fn name_transport(request: &mut ClientRequest) {
    for (name, value) in [("EIO", "4"), ("transport", "websocket")] {
        if !pairs(&request.target).any(|pair| pair.split('=').next() == Some(name)) {
            request.append_query(name, value);
        }
    }
}

/// Adds the key in the query of `before` to `target`, unless `target` has a key already.
fn with_keys_of(before: &str, mut target: String) -> String {
    if pairs(&target).any(is_key) {
        return target;
    }
    for pair in pairs(before).filter(|pair| is_key(pair)) {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(pair);
    }
    target
}

fn without_keys(target: &str) -> String {
    let Some((path, _)) = target.split_once('?') else { return target.to_owned() };
    let kept: Vec<_> = pairs(target).filter(|pair| !is_key(pair)).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

fn pairs(target: &str) -> impl Iterator<Item = &str> {
    target.split_once('?').into_iter().flat_map(|(_, query)| query.split('&'))
}

/// Compares the decoded name, so that percent escapes do not matter.
fn is_key(pair: &str) -> bool {
    form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| name.eq_ignore_ascii_case(API_KEY))
}

#[cfg(test)]
mod tests {
    use multiwa_ws_core::handshake::Headers;

    use super::*;

    fn settings() -> RequestSettings {
        let headers =
            [("Authorization", "Bearer s3cret"), ("Cookie", "a=s3cret"), ("X-Auth-Token", "s3cret"), ("X-A", "b")];
        let settings = RequestSettings::new().subprotocol("chat");
        headers.into_iter().fold(settings, |settings, (name, value)| settings.header(name, value))
    }

    fn target(url: &str) -> Target {
        settings().target(&Destination::new(url).api_key("s3cret")).unwrap()
    }

    fn response(status: u16, location: Option<&str>) -> Response {
        let mut headers = Headers::new();
        if let Some(location) = location {
            headers.append("Location", location).unwrap();
        }
        Response { status, headers, body: Vec::new(), complete: true }
    }

    fn redirect(from: &str, location: &str) -> Result<Target, RedirectError> {
        target(from).redirected(&response(302, Some(location)))
    }

    #[test]
    fn a_redirect_leads_where_its_location_says() {
        for (location, endpoint, host, asked) in [
            ("/other", "ws://h:3001/other", "h:3001", "/other?apiKey=s3cret"),
            ("other?x=1", "ws://h:3001/a/other", "h:3001", "/a/other?x=1&apiKey=s3cret"),
            ("?x=1", "ws://h:3001/a/ws", "h:3001", "/a/ws?x=1&apiKey=s3cret"),
            ("/b?apiKey=new", "ws://h:3001/b", "h:3001", "/b?apiKey=new"),
            ("//g/b", "ws://g/b", "g", "/b"),
            ("http://h:3001/b#top", "ws://h:3001/b", "h:3001", "/b?apiKey=s3cret"),
            ("https://g", "wss://g/", "g", "/"),
            ("wss://[::1]:8/b?x", "wss://[::1]:8/b", "[::1]:8", "/b?x"),
        ] {
            let redirected = redirect("ws://h:3001/a/ws", location).unwrap();
            assert_eq!(redirected.endpoint.to_string(), endpoint, "{location}");
            assert_eq!(
                (redirected.request.host.as_str(), redirected.request.target.as_str()),
                (host, asked),
                "{location}"
            );
            assert_eq!(redirected.request.subprotocols, ["chat"]);
        }
    }

    #[test]
    fn sec_hs_14_a_redirect_never_leads_from_tls_to_plain_text() {
        for location in ["ws://h/ws", "http://h/ws", "ws://h:443/ws", "http://other/"] {
            assert_eq!(redirect("wss://h/ws", location), Err(RedirectError::Downgrade), "{location}");
        }
        assert!(redirect("wss://h/ws", "https://h/b").is_ok() && redirect("wss://h/ws", "//other/b").is_ok());
    }

    #[test]
    fn sec_hs_14_no_credential_reaches_another_origin() {
        for location in [
            "ws://h2:3001/b",
            "ws://h:3002/b",
            "wss://h:3001/b",
            "//h2/b?apiKey=s3cret",
            "//h2/b?x=1&%61piKey=s3cret&APIKEY=s3cret&apiKey",
        ] {
            let redirected = redirect("ws://h:3001/ws?apiKey=s3cret2", location).unwrap();
            let target = &redirected.request.target;
            assert!(!target.contains("s3cret") && !target.to_lowercase().contains("apikey"), "{location}: {target}");
            let names: Vec<_> = redirected.request.headers.iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["X-A"], "{location}");
            assert_eq!(redirected.request.headers.get_str("X-A"), Some("b"));
            // The key is also not sent after a redirect back to the first origin.
            let back = redirected.redirected(&response(307, Some("ws://h:3001/ws")));
            assert!(back.is_err() || !back.unwrap().request.target.contains("s3cret"));
        }
    }

    #[test]
    fn credentials_stay_at_their_origin() {
        let redirected = redirect("ws://h:3001/ws", "/b").unwrap();
        assert_eq!(redirected.request.headers.len(), 4);
        assert_eq!(redirected.request.target, "/b?apiKey=s3cret");
    }

    #[test]
    fn what_leads_nowhere_is_not_followed() {
        let from = target("ws://h/ws");
        assert_eq!(from.redirected(&response(302, None)), Err(RedirectError::NoLocation));
        assert_eq!(from.redirected(&response(304, Some("/b"))), Err(RedirectError::NoLocation));
        for (location, error) in [
            ("ftp://h/", InvalidUrl::Scheme),
            ("javascript:0", InvalidUrl::Scheme),
            ("http://", InvalidUrl::Syntax),
            ("http://me:s3cret@h/", InvalidUrl::UserInfo),
        ] {
            assert_eq!(redirect("ws://h/ws", location), Err(RedirectError::Location(error)), "{location}");
        }
    }

    #[test]
    fn debug_output_hides_the_key() {
        let destination = Destination::new("ws://h/ws?apiKey=s3cret").api_key("s3cret");
        let target = settings().target(&destination).unwrap();
        assert!(!format!("{destination:?} {target:?} {:?}", settings()).contains("s3cret"));
    }
}
