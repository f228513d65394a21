//! The HTTP proxy through which a client dials.

use std::fmt;

use data_encoding::BASE64;
#[cfg(feature = "proxy-env")]
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

#[cfg(feature = "proxy-env")]
use super::endpoint::Endpoint;
use super::endpoint::host_of;

/// An HTTP proxy to dial through, with an optional name and password.
///
/// ```
/// use multiwa_ws_driver::Proxy;
///
/// let proxy: Proxy = "http://name:password@proxy.example:3128".parse()?;
/// assert_eq!(proxy.to_string(), "http://proxy.example:3128");
/// # Ok::<(), multiwa_ws_driver::InvalidProxy>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    /// The host in URL notation.
    host_in_url: String,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
}

/// Why a URL is not valid for a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProxy {
    /// The text is not a URL.
    #[error("the proxy is not a URL: write http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT")]
    Syntax,
    /// The scheme is not `http`, the only one that is supported.
    #[error("the scheme of the proxy must be http")]
    Scheme,
}

impl Proxy {
    /// The host to dial: a name, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to dial.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of `Proxy-Authorization`, if the URL has a name or a password.
    pub(super) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// Returns the proxy that the environment variables name for `endpoint`, if any: `https_proxy` for `wss`,
    /// `http_proxy` for `ws`, and `all_proxy` for both. Hosts in `no_proxy` have no proxy.
    ///
    /// Each variable is read in lower case, then in upper case. The exception is `HTTP_PROXY`, which is not read: in a
    /// CGI program the HTTP client controls it. `no_proxy` has the syntax of curl: names (each includes its subdomains),
    /// addresses, networks such as `10.0.0.0/8`, or `*`.
    ///
    /// # Errors
    /// A variable is not a valid proxy URL.
    #[cfg(feature = "proxy-env")]
    pub fn from_env(endpoint: &Endpoint) -> Result<Option<Self>, InvalidProxy> {
        Self::from_variables(endpoint, |name| std::env::var(name).ok())
    }

    #[cfg(feature = "proxy-env")]
    fn from_variables(
        endpoint: &Endpoint,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, InvalidProxy> {
        let first = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| variable(name)).map(|value| value.trim().to_owned());
            values.find(|value| !value.is_empty()).unwrap_or_default()
        };
        let proxy = first(if endpoint.is_tls() {
            &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        } else {
            &["http_proxy", "all_proxy", "ALL_PROXY"]
        });
        if proxy.is_empty() || is_exempt(endpoint, &first(&["no_proxy", "NO_PROXY"])) {
            return Ok(None);
        }
        if proxy.contains("://") { proxy.parse().map(Some) } else { format!("http://{proxy}").parse().map(Some) }
    }
}

/// Whether an entry of `no_proxy` matches `endpoint`.
#[cfg(feature = "proxy-env")]
fn is_exempt(endpoint: &Endpoint, no_proxy: &str) -> bool {
    use std::net::{IpAddr, SocketAddr};

    // A final dot, which marks a name as complete, is ignored.
    let entries: Vec<_> = no_proxy.split(',').map(|entry| entry.trim().trim_end_matches('.')).collect();
    let scheme = if endpoint.is_tls() { "https" } else { "http" };
    let authority = match endpoint.host().parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address.to_canonical(), endpoint.port()).to_string(),
        Err(_) => endpoint.host().trim_end_matches('.').to_owned(),
    };
    let Ok(uri) = format!("{scheme}://{authority}/").parse() else { return false };
    Matcher::builder().all("http://proxy").no(entries.join(",")).build().intercept(&uri).is_none()
}

impl std::str::FromStr for Proxy {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let url = Url::parse(text).map_err(|_| InvalidProxy::Syntax)?;
        if url.scheme() != "http" {
            return Err(InvalidProxy::Scheme);
        }
        let host = host_of(&url).ok_or(InvalidProxy::Syntax)?;
        let authorization = (!url.username().is_empty() || url.password().is_some()).then(|| {
            // RFC 7617 section 2.
            let mut pair = percent_encoding::percent_decode_str(url.username()).collect::<Vec<u8>>();
            pair.push(b':');
            pair.extend(percent_encoding::percent_decode_str(url.password().unwrap_or_default()));
            format!("Basic {}", BASE64.encode(&pair))
        });
        let host_in_url = url.host_str().unwrap_or_default().to_owned();
        Ok(Self { host, port: url.port_or_known_default().unwrap_or(80), host_in_url, authorization })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host_in_url, self.port)
    }
}

/// Hides the password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "proxy-env")]
    fn endpoint(url: &str) -> Endpoint {
        url.parse().unwrap()
    }

    #[test]
    fn what_names_no_proxy_is_refused() {
        for (text, error) in [
            ("proxy", InvalidProxy::Syntax),
            ("http://", InvalidProxy::Syntax),
            ("https://p", InvalidProxy::Scheme),
            ("socks5://p", InvalidProxy::Scheme),
        ] {
            assert_eq!(text.parse::<Proxy>(), Err(error), "{text}");
        }
    }

    #[cfg(feature = "proxy-env")]
    #[test]
    fn the_environment_names_a_proxy_for_each_scheme() {
        let found = |url: &str, variables: &[(&str, &str)]| {
            let variable =
                |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
            Proxy::from_variables(&endpoint(url), variable).unwrap().map(|proxy| proxy.to_string())
        };
        let p = |name| Some(format!("http://{name}:80"));
        assert_eq!(found("wss://h", &[("https_proxy", "http://a"), ("all_proxy", "b")]), p("a"));
        assert_eq!(found("wss://h", &[("HTTPS_PROXY", " a\n")]), p("a"));
        assert_eq!(found("ws://h", &[("https_proxy", "a")]), None);
        assert_eq!(found("ws://h", &[("http_proxy", ""), ("ALL_PROXY", "b")]), p("b"));
        // httpoxy: the header `Proxy` of a request becomes this variable of a CGI program.
        assert_eq!(found("ws://h", &[("HTTP_PROXY", "a")]), None);
        assert_eq!(found("ws://h", &[]), None);
        for (exempt, url, proxied) in [
            ("h", "ws://h", false),
            ("H.example", "ws://a.h.example", false),
            (".h.example", "ws://h.example", false),
            ("h.example", "ws://ah.example", true),
            ("example", "ws://h", true),
            ("x, *", "ws://h", false),
            ("::1", "ws://[::1]", false),
            ("127.0.0.1", "ws://127.0.0.1:3001", false),
            (",", "ws://h", true),
        ] {
            let variables = [("http_proxy", "a"), ("no_proxy", exempt)];
            assert_eq!(found(url, &variables).is_some(), proxied, "{exempt} {url}");
        }
    }

    #[cfg(feature = "proxy-env")]
    #[test]
    fn f_23_networks_domains_and_trailing_dots_are_exempt() {
        for (exempt, url, proxied) in [
            ("10.0.0.0/8,.example", "ws://10.1.2.3", false),
            ("10.0.0.0/8,.example", "wss://gateway.example.", false),
            ("10.0.0.0/8,.example", "wss://gateway.example/ws", false),
            ("10.0.0.0/8,.example", "ws://[::ffff:10.1.2.3]:3001", false),
            ("10.0.0.0/8,.example", "wss://11.1.2.3", true),
            ("10.0.0.0/8,.example", "ws://notexample", true),
            ("gateway.example.", "ws://gateway.example", false),
            (" .example. , 2001:db8::/32", "wss://GATEWAY.example.:3001", false),
            (" .example. , 2001:db8::/32", "wss://[2001:db8::7]", false),
            (" .example. , 2001:db8::/32", "wss://[2001:db9::7]", true),
        ] {
            let variables = [("all_proxy", "a"), ("no_proxy", exempt)];
            let variable =
                |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
            let found = Proxy::from_variables(&endpoint(url), variable).unwrap();
            assert_eq!(found.is_some(), proxied, "{exempt} {url}");
        }
    }
}
