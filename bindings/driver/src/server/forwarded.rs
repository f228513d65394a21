//! The client address that a proxy forwards.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use multiwa_ws_core::handshake::Headers;

/// A proxy, or a network of proxies, that is trusted to send the addresses of its clients.
///
/// ```
/// use multiwa_ws_driver::TrustedProxy;
///
/// let one: TrustedProxy = "192.0.2.1".parse()?;
/// let many: TrustedProxy = "10.0.0.0/8".parse()?;
/// # let _ = (one, many);
/// # Ok::<(), multiwa_ws_driver::InvalidProxyNetwork>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedProxy(IpNet);

/// The text is neither an IP address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a trusted proxy as an IP address or a network, such as 10.0.0.0/8")]
pub struct InvalidProxyNetwork;

impl FromStr for TrustedProxy {
    type Err = InvalidProxyNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidProxyNetwork> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| InvalidProxyNetwork)
    }
}

/// The trusted proxies.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies(pub(super) Vec<TrustedProxy>);

impl Proxies {
    pub(super) fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|TrustedProxy(network)| network.contains(&address))
    }

    /// Returns the client address of a request that `address` has sent, or `None` if the sender is itself the client.
    ///
    /// Each proxy appends the address of its client. Entries before the one of the last trusted proxy can be forged by
    /// anyone.
    pub(super) fn client(&self, address: IpAddr, headers: &Headers) -> Option<IpAddr> {
        if !self.trust(address) {
            return None;
        }
        let mut client = None;
        for hop in hops(headers).into_iter().rev() {
            // An identifier that is not an address hides all addresses before it.
            let Some(hop) = hop else { break };
            client = Some(hop);
            if !self.trust(hop) {
                break;
            }
        }
        client
    }
}

/// The addresses that the proxies forward, the nearest last: from `X-Forwarded-For`, or else from `Forwarded` (RFC 7239).
fn hops(headers: &Headers) -> Vec<Option<IpAddr>> {
    const DE_FACTO: &str = "X-Forwarded-For";
    let lists = |name: &'static str| headers.get_all(name).map(|list| str::from_utf8(list).unwrap_or_default());
    if headers.get(DE_FACTO).is_some() {
        return lists(DE_FACTO).flat_map(|list| list.split(',')).map(address).collect();
    }
    lists("Forwarded").flat_map(|list| unquoted_split(list, ',')).map(forwarded_for).collect()
}

/// The `for` parameter of a `Forwarded` element (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pairs = unquoted_split(element, ';').filter_map(|pair| pair.split_once('='));
    let mut nodes = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let (_, node) = nodes.next()?;
    address(node.trim().trim_matches('"'))
}

/// Splits at separators outside quotes (RFC 9110 section 5.6.4).
fn unquoted_split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            _ if was_escaped => {}
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        c == separator && !quoted
    })
}

/// An address, with or without a port (RFC 7239 section 6).
fn address(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    let in_brackets = node.strip_prefix('[').and_then(|node| node.strip_suffix(']'));
    let address = match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
        None => node.parse().ok().or_else(|| node.parse::<SocketAddr>().ok().map(|address| address.ip())),
    };
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(headers: &[(&str, &str)]) -> Option<String> {
        let proxies = Proxies(["10.0.0.0/8", "2001:db8::1"].map(|proxy| proxy.parse().unwrap()).to_vec());
        let mut fields = Headers::new();
        for (name, value) in headers {
            fields.append(name, value).unwrap();
        }
        // The headers of any other sender are ignored.
        assert_eq!(proxies.client("192.0.2.9".parse().unwrap(), &fields), None);
        let sender = "::ffff:10.1.2.3".parse().unwrap();
        proxies.client(sender, &fields).map(|client| client.to_string())
    }

    #[test]
    fn f_20_a_trusted_proxy_names_the_address_of_its_client() {
        for (value, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:4711", Some("192.0.2.1")),
            ("2001:db8:1::1", Some("2001:db8:1::1")),
            ("[2001:db8:1::1]:4711", Some("2001:db8:1::1")),
            // An address that the client sent comes before the one that the proxy saw.
            ("192.0.2.66, 192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.66, 192.0.2.1, 10.9.9.9, 2001:db8::1", Some("192.0.2.1")),
            // All addresses belong to trusted proxies.
            ("10.0.0.2, 10.0.0.3", Some("10.0.0.2")),
            ("192.0.2.66, unknown", None),
            ("192.0.2.66, unknown, 10.0.0.2", Some("10.0.0.2")),
            ("", None),
        ] {
            assert_eq!(client(&[("X-Forwarded-For", value)]).as_deref(), expected, "{value}");
        }
        let split = [("x-forwarded-for", "192.0.2.66"), ("X-Forwarded-For", "192.0.2.1")];
        assert_eq!(client(&split).as_deref(), Some("192.0.2.1"));
        assert_eq!(client(&[]), None);
    }

    #[test]
    fn f_20_a_trusted_proxy_may_use_the_header_of_rfc_7239() {
        for (value, expected) in [
            ("for=192.0.2.1", Some("192.0.2.1")),
            (r#"For="[2001:db8:1::1]:4711";proto=http;by=203.0.113.43"#, Some("2001:db8:1::1")),
            (r#"for=192.0.2.66, proto=https;for="192.0.2.1:80" , for=10.0.0.2"#, Some("192.0.2.1")),
            // A separator in quotes does not separate.
            (r#"for=192.0.2.1;host="x, for=192.0.2.66""#, Some("192.0.2.1")),
            (r#"for=192.0.2.1;host="\", for=192.0.2.66""#, Some("192.0.2.1")),
            ("for=192.0.2.66, for=_hidden", None),
            ("for=192.0.2.66, proto=https", None),
        ] {
            assert_eq!(client(&[("Forwarded", value)]).as_deref(), expected, "{value}");
        }
        let both = [("Forwarded", "for=192.0.2.66"), ("X-Forwarded-For", "192.0.2.1")];
        assert_eq!(client(&both).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn what_is_no_address_and_no_network_is_no_proxy() {
        for text in ["", "localhost", "10.0.0.0/33", "10.0.0.1:80", "10.0.0"] {
            assert_eq!(text.parse::<TrustedProxy>(), Err(InvalidProxyNetwork), "{text}");
        }
    }
}
