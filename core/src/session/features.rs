//! Optional features of a server, announced in a header of its 101 response.

/// The features that a server announces in `X-MultiWA-Features` (`protocol.md`, Subscriptions and filtering).
///
/// `Features::default()` stands for a server that announces none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `subscription-sets`: the server accepts `"mode": "add"` in a `subscribe` and `profileId` in an `unsubscribe`.
    pub subscription_sets: bool,
}

impl Features {
    /// The header of the 101 response that carries the features.
    pub const HEADER: &'static str = "X-MultiWA-Features";

    const SUBSCRIPTION_SETS: &'static str = "subscription-sets";

    /// Reads the value of the header: a comma-separated list of words. Upper and lower case are equal. Unknown words
    /// are skipped, because the list can grow.
    ///
    /// ```
    /// use multiwa_ws_core::session::Features;
    ///
    /// assert!(Features::parse("replay, Subscription-Sets").subscription_sets);
    /// assert_eq!(Features::parse(""), Features::default());
    /// ```
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let mut words = value.split(',').map(str::trim);
        Self { subscription_sets: words.any(|word| word.eq_ignore_ascii_case(Self::SUBSCRIPTION_SETS)) }
    }

    /// The value of the header; `None` when there is nothing to announce.
    #[must_use]
    pub fn header_value(self) -> Option<&'static str> {
        self.subscription_sets.then_some(Self::SUBSCRIPTION_SETS)
    }
}
