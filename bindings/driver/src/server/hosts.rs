//! The host names that a server accepts.

use std::net::{IpAddr, Ipv6Addr};

/// The host names that requests may use for this server. In DNS rebinding, an attacker points his own name to this
/// server, and his page then sends that name in `Host`.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    /// The names that [`allow_host`](super::ServerBuilder::allow_host) listed.
    pub(super) listed: Vec<String>,
    pub(super) any: bool,
    /// Whether the server listens on a loopback address.
    pub(super) on_loopback: bool,
}

impl Hosts {
    /// Whether requests for `host`, with or without a port, are accepted.
    pub(super) fn allow(&self, host: &str) -> bool {
        if self.any || !self.on_loopback && self.listed.is_empty() {
            return true;
        }
        let name = without_port(host);
        let name = name.strip_suffix('.').unwrap_or(name);
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        // DNS rebinding needs a name, so addresses are safe.
        is_address(name)
            || self.on_loopback && (is("localhost") || has_suffix(name, ".localhost"))
            || self.listed.iter().any(|listed| is(listed))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.contains(':') => name,
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && name.ends_with(']') => name,
        _ => host,
    }
}

fn is_address(name: &str) -> bool {
    let in_brackets = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    in_brackets.map_or_else(|| name.parse::<IpAddr>().is_ok(), |name| name.parse::<Ipv6Addr>().is_ok())
}

fn has_suffix(name: &str, suffix: &str) -> bool {
    let end = name.len().checked_sub(suffix.len()).and_then(|at| name.get(at..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_hs_11_on_loopback_only_local_names_and_addresses_are_answered() {
        let hosts = Hosts { on_loopback: true, ..Hosts::default() };
        for local in
            ["localhost", "LOCALHOST:3001", "localhost.", "a.localhost:1", "127.0.0.1:3001", "[::1]:3001", "[::1]"]
        {
            assert!(hosts.allow(local), "{local}");
        }
        for foreign in ["evil.example", "localhost.evil:3001", "127.0.0.1.evil", "evillocalhost", "[::1].evil", ""] {
            assert!(!hosts.allow(foreign), "{foreign}");
            assert!(Hosts::default().allow(foreign), "{foreign}");
        }
    }

    #[test]
    fn sec_hs_11_listed_hosts_are_answered_and_no_others() {
        for on_loopback in [true, false] {
            let hosts = Hosts { listed: vec!["gateway.example".into()], any: false, on_loopback };
            assert!(hosts.allow("Gateway.example:443"));
            assert!(!hosts.allow("other.example"));
            assert_eq!(hosts.allow("localhost"), on_loopback);
            assert!(Hosts { any: true, ..hosts }.allow("other.example"));
        }
    }
}
