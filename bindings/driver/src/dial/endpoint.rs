//! The address of a server: a WebSocket URL, and how the request carries the API key.

use std::fmt;

use multiwa_ws_core::handshake::{ApiKey, ClientRequest, InvalidHeader};
#[cfg(feature = "tls")]
use rustls::pki_types::ServerName;
use url::{Host, Position, Url};

/// The URL of a server, `ws://HOST[:PORT][/PATH][?QUERY]` or the same with `wss://` (RFC 6455 section 3).
///
/// The default port is 80 or 443, and an empty path means `/ws` (`protocol.md`, Transport). `Debug` and `Display` hide
/// the query, because it may hold a key.
///
/// ```
/// use multiwa_ws_driver::Endpoint;
///
/// let endpoint: Endpoint = "ws://gateway:3001?apiKey=secret".parse()?;
/// assert_eq!((endpoint.host(), endpoint.port(), endpoint.is_tls()), ("gateway", 3001, false));
/// assert_eq!(endpoint.to_string(), "ws://gateway:3001/ws");
/// # Ok::<(), multiwa_ws_driver::InvalidUrl>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The URL, with the default path filled in.
    url: Url,
    /// A name, or an IP address without brackets.
    host: String,
}

/// Why a URL is not valid for a WebSocket server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUrl {
    /// The text is not a URL.
    #[error("this is not a URL: write ws://HOST:PORT/ws or wss://HOST/ws")]
    Syntax,
    /// The scheme is neither `ws` nor `wss`.
    #[error("the scheme must be ws or wss")]
    Scheme,
    /// The URL has no host.
    #[error("the URL has no host")]
    Host,
    /// The URL has a fragment (RFC 6455 section 3).
    #[error("a WebSocket URL has no fragment: encode # as %23")]
    Fragment,
    /// The URL has a user name or a password.
    #[error("the URL has a user name or password: pass the API key instead")]
    UserInfo,
}

impl Endpoint {
    /// The host to dial: a name, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to dial.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// Whether the stream is TLS: `wss`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "wss"
    }

    /// The name that the server's certificate must be valid for: the host that is dialed (RFC 9110 section 4.3.4).
    ///
    /// # Errors
    /// [`InvalidUrl::Host`] when no certificate can be valid for the host.
    #[cfg(feature = "tls")]
    pub fn server_name(&self) -> Result<ServerName<'static>, InvalidUrl> {
        ServerName::try_from(self.host.clone()).map_err(|_| InvalidUrl::Host)
    }

    /// The upgrade request for this URL.
    #[must_use]
    pub fn request(&self) -> ClientRequest {
        // `url` leaves out a port that is the default of the scheme.
        let authority = &self.url[Position::BeforeHost..Position::AfterPort];
        ClientRequest::new(authority, &self.url[Position::BeforePath..Position::AfterQuery])
    }

    /// Whether `other` has the same origin: scheme, host and port (RFC 6454 section 4).
    #[must_use]
    pub fn has_origin_of(&self, other: &Self) -> bool {
        self.url.origin() == other.url.origin()
    }

    /// Resolves `reference`, relative to this URL or absolute (RFC 3986 section 5). `http` and `https` stand for `ws` and
    /// `wss`.
    pub(crate) fn join(&self, reference: &str) -> Result<Self, InvalidUrl> {
        let mut url = self.url.join(reference).map_err(|_| InvalidUrl::Syntax)?;
        let scheme = match url.scheme() {
            "http" => "ws",
            "https" => "wss",
            _ => "",
        };
        if !scheme.is_empty() {
            url.set_scheme(scheme).map_err(|()| InvalidUrl::Scheme)?;
        }
        // RFC 9110 section 10.2.2 allows a fragment in Location. It is meant for the display of a page.
        url.set_fragment(None);
        Self::new(url)
    }

    /// The host and the port. The port is always present.
    pub(crate) fn authority_with_port(&self) -> String {
        format!("{}:{}", self.url.host_str().unwrap_or_default(), self.port())
    }

    fn new(url: Url) -> Result<Self, InvalidUrl> {
        if !matches!(url.scheme(), "ws" | "wss") {
            return Err(InvalidUrl::Scheme);
        }
        if url.fragment().is_some() {
            return Err(InvalidUrl::Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl::UserInfo);
        }
        let host = host_of(&url).ok_or(InvalidUrl::Host)?;
        Ok(Self { url, host })
    }
}

/// The host to dial: a name, or an IP address without the brackets of the URL.
pub(super) fn host_of(url: &Url) -> Option<String> {
    Some(match url.host()? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    })
}

impl std::str::FromStr for Endpoint {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        Self::parse(text, "/ws")
    }
}

impl Endpoint {
    /// Parses a URL. One without a path gets `path`.
    pub(super) fn parse(text: &str, path: &str) -> Result<Self, InvalidUrl> {
        // White space and byte order marks that come from files and environment variables are not part of the URL.
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let mut url = Url::parse(text).map_err(|_| InvalidUrl::Syntax)?;
        // `url` writes an empty path as `/`. The root is meant only if the text contains the slash.
        let spelled_out = text.split(['?', '#']).next().is_some_and(|head| head.ends_with('/'));
        if url.path() == "/" && !spelled_out {
            url.set_path(path);
        }
        Self::new(url)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url[..Position::AfterPath])
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// The name of the key in the query (`protocol.md`, Transport).
pub(super) const API_KEY: &str = "apiKey";

/// The part of the upgrade request that carries the key (`protocol.md`, Transport).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyPlacement {
    /// In the query, `?apiKey=KEY`, as `protocol.md` defines it. Proxies may log it.
    #[default]
    Query,
    /// In the header `X-API-Key`.
    Header,
    /// In the header `Authorization`, as `Bearer KEY`.
    Bearer,
}

impl KeyPlacement {
    /// Puts `key` into `request`.
    ///
    /// # Errors
    /// [`InvalidHeader`] when a header cannot carry the key, or the key is not UTF-8.
    pub fn place(self, key: &ApiKey, request: &mut ClientRequest) -> Result<(), InvalidHeader> {
        let key = std::str::from_utf8(key.expose()).map_err(|_| InvalidHeader::Value)?;
        match self {
            Self::Query => request.append_query(API_KEY, key),
            Self::Header => request.headers.append("X-API-Key", key)?,
            Self::Bearer => request.headers.append("Authorization", format!("Bearer {key}"))?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> String {
        url.parse::<Endpoint>().unwrap().request().target
    }

    #[test]
    fn ports_and_paths_have_the_defaults_of_the_protocol() {
        let endpoint: Endpoint = "wss://example.org".parse().unwrap();
        assert_eq!((endpoint.port(), endpoint.request().host.as_str()), (443, "example.org"));
        assert_eq!("ws://h".parse::<Endpoint>().unwrap().port(), 80);
        assert_eq!(target("ws://h"), "/ws");
        assert_eq!(target("ws://h?a=b"), "/ws?a=b");
        assert_eq!(target("ws://h/"), "/");
        assert_eq!(target("ws://h/other?apiKey=a%20b+c"), "/other?apiKey=a%20b+c");
    }

    #[test]
    fn f_22_white_space_and_byte_order_marks_around_a_url_are_no_part_of_it() {
        assert_eq!(target("\u{feff}ws://h/\r\n"), "/");
        assert_eq!(target(" ws://h?apiKey=a\n"), "/ws?apiKey=a");
    }

    #[test]
    fn an_ipv6_address_is_dialed_without_and_named_with_brackets() {
        let endpoint: Endpoint = "ws://[::1]:3001/ws".parse().unwrap();
        assert_eq!((endpoint.host(), endpoint.request().host.as_str()), ("::1", "[::1]:3001"));
    }

    #[test]
    fn what_names_no_server_is_refused() {
        let refused = |url: &str| url.parse::<Endpoint>().unwrap_err();
        assert_eq!(refused("gateway"), InvalidUrl::Syntax);
        assert_eq!(refused("http://gateway/ws"), InvalidUrl::Scheme);
        assert_eq!(refused("ws://gateway/ws#x"), InvalidUrl::Fragment);
        assert_eq!(refused("ws://me:secret@gateway/ws"), InvalidUrl::UserInfo);
    }

    #[test]
    fn a_key_never_shows() {
        let endpoint: Endpoint = "ws://h/ws?apiKey=secret".parse().unwrap();
        assert!(!format!("{endpoint:?} {endpoint}").contains("secret"));
    }

    #[test]
    fn a_key_goes_where_its_placement_says() {
        let key = ApiKey::new("k 1");
        let placed = |placement: KeyPlacement| {
            let mut request = ClientRequest::new("h", "/ws");
            placement.place(&key, &mut request).unwrap();
            request
        };
        assert_eq!(placed(KeyPlacement::Query).target, "/ws?apiKey=k%201");
        assert_eq!(placed(KeyPlacement::Header).headers.get_str("X-API-Key"), Some("k 1"));
        assert_eq!(placed(KeyPlacement::Bearer).headers.get_str("Authorization"), Some("Bearer k 1"));
    }
}
