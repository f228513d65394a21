//! Layer 3: the MultiWA session, both roles, over any transport of text messages.
