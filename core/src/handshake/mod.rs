//! The HTTP upgrade (RFC 6455 section 4), both roles, as values that become a connection.
