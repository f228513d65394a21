//! The web origins that a server accepts.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// The origin of a web page, `scheme://host[:port]` (RFC 6454). The server may accept connections from its pages.
///
/// It is normalized as browsers do: lower case, international names in ASCII form, without the default port of the
/// scheme.
///
/// ```
/// use multiwa_ws_driver::Origin;
///
/// let origin: Origin = "HTTPS://Bücher.example:443".parse()?;
/// assert_eq!(origin.to_string(), "https://xn--bcher-kva.example");
/// # Ok::<(), multiwa_ws_driver::InvalidOrigin>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(String);

/// Why a text is not an origin that can be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOrigin {
    /// Wildcards are not supported.
    #[error("an origin has no wildcards: list each origin, or none to allow all")]
    Wildcard,
    /// Any page can make a browser send the origin `null`.
    #[error("many unrelated pages have the origin null: serve the page from an origin of its own")]
    Null,
    /// The text is not `scheme://host` or `scheme://host:port`.
    #[error("an origin is written scheme://host or scheme://host:port")]
    Syntax,
}

impl Origin {
    /// Whether an `Origin` header equals this origin. The header is compared as text and never parsed, so prefixes,
    /// suffixes and similar texts do not match.
    pub(super) fn is(&self, header: &str) -> bool {
        header.eq_ignore_ascii_case(&self.0)
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        if text.contains('*') {
            return Err(InvalidOrigin::Wildcard);
        }
        if text.eq_ignore_ascii_case("null") {
            return Err(InvalidOrigin::Null);
        }
        let url = Url::parse(text).map_err(|_| InvalidOrigin::Syntax)?;
        let bare = matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let host = url.host_str().filter(|host| bare && !host.is_empty()).ok_or(InvalidOrigin::Syntax)?;
        // `url` has no origin for some schemes, such as those of browser extensions and of applications with a web view.
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self(format!("{}://{host}{port}", url.scheme())))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn sec_hs_10_an_origin_is_itself_and_nothing_that_looks_like_it() {
        let allowed = origin("https://app.example");
        for same in ["https://app.example", "HTTPS://App.Example"] {
            assert!(allowed.is(same), "{same}");
        }
        for other in [
            "",
            "null",
            "*",
            "http://app.example",
            "https://app.example:8443",
            "https://app.example.evil",
            "https://app.example@evil",
            "https://evil/https://app.example",
            "https://xapp.example",
            "https://app.example.",
            "https://app.example/",
            "https://app.exampl\u{435}",
            "https://app.example https://evil",
        ] {
            assert!(!allowed.is(other), "{other}");
        }
        assert!(origin("https://app.example:8443").is("https://app.example:8443"));
    }

    #[test]
    fn an_origin_is_kept_as_browsers_write_it() {
        for (text, kept) in [
            ("http://h:80", "http://h"),
            ("http://h:443/", "http://h:443"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("https://münchen.example", "https://xn--mnchen-3ya.example"),
            ("tauri://localhost", "tauri://localhost"),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ] {
            assert_eq!(origin(text).to_string(), kept);
        }
    }

    #[test]
    fn what_names_no_origin_cannot_be_allowed() {
        let refused = |text: &str| text.parse::<Origin>().unwrap_err();
        for text in ["*", "https://*.example", "https://*"] {
            assert_eq!(refused(text), InvalidOrigin::Wildcard, "{text}");
        }
        assert_eq!(refused("null"), InvalidOrigin::Null);
        for text in
            ["", "h", "https://", "https://h/path", "https://h?q", "https://me@h", "file:///", "data:text/html,x"]
        {
            assert_eq!(refused(text), InvalidOrigin::Syntax, "{text}");
        }
    }
}
