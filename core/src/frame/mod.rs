//! Layer 1: frames (RFC 6455 section 5). No allocation, no messages, no lifecycle.
