//! The joins and leaves that a gateway has not answered (`socketio.md`, Events).

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::events::object;
use crate::Instant;
use crate::session::RequestId;

/// The time in which a gateway may check the key after it has answered the CONNECT. Until then it answers a join with
/// `Forbidden`, as it does without the right. For as long an unanswered join counts before the envelope's `ack` does.
pub(super) const KEY_CHECK: Duration = Duration::from_secs(5);

/// The waits before a join that was forbidden is asked again.
const WAITS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// The largest number of joins and leaves that wait for an answer. At this number, the oldest is forgotten: its request
/// has timed out long before.
const MAX_WAITING: usize = 1_024;

/// A join or a leave.
#[derive(Debug)]
pub(super) struct Join {
    /// The acknowledgement id of its packet.
    id: u64,
    /// The request that it answers; `None` for a leave that nobody waits for.
    request: Option<RequestId>,
    profile: Arc<str>,
    leaves: bool,
    /// How often it was forbidden.
    tries: usize,
    /// When it is asked again, after it was forbidden.
    again: Option<Instant>,
    /// When the gateway is no longer expected to answer it.
    overdue: Instant,
    /// The documented envelope was acknowledged.
    acknowledged: bool,
}

/// All of them, and the profiles that are joined.
#[derive(Debug, Default)]
pub(super) struct Joins {
    waiting: Vec<Join>,
    joined: Vec<Arc<str>>,
    /// Requests whose join was forbidden, and is not asked again because its profile was left.
    withdrawn: Vec<RequestId>,
    /// Requests that a join or a leave has decided. The answer to their envelope has no meaning any more.
    decided: VecDeque<RequestId>,
    /// The last acknowledgement id. It is not used again on a later connection.
    last_id: u64,
    /// A join has succeeded, so the key is good.
    pub(super) proved: bool,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing is to be done: nobody waits for it, or other answers are awaited.
    Nothing,
    /// The request was performed.
    Done(RequestId, Arc<str>),
    /// The request was refused.
    Refused(RequestId),
    /// It is asked again later.
    Again,
}

impl Joins {
    /// Forgets what belongs to the last connection.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.joined.clear();
        self.withdrawn.clear();
        self.decided.clear();
        self.proved = false;
    }

    /// The profiles that the gateway holds.
    pub(super) fn joined(&self) -> &[Arc<str>] {
        &self.joined
    }

    /// The profiles that the gateway holds or may hold after its answers.
    pub(super) fn held(&self) -> Vec<Arc<str>> {
        let mut held = self.joined.clone();
        for join in self.waiting.iter().filter(|join| !join.leaves) {
            if !held.contains(&join.profile) {
                held.push(join.profile.clone());
            }
        }
        held
    }

    /// Adds a join or a leave, and returns its packet.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        profile: Arc<str>,
        leaves: bool,
        request: Option<RequestId>,
    ) -> (u64, String) {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.remove(0);
        }
        if leaves
            && let Some(index) = self.waiting.iter().position(|join| join.profile == profile && join.again.is_some())
        {
            // Else it would be joined after it was left.
            self.withdrawn.extend(self.waiting.remove(index).request);
        }
        self.last_id += 1;
        let payload = payload(&profile, leaves);
        let (id, overdue) = (self.last_id, now + KEY_CHECK);
        self.waiting.push(Join { id, request, profile, leaves, tries: 0, again: None, overdue, acknowledged: false });
        (id, payload)
    }

    /// The gateway answered the packet with this id. `may_wait` says whether it may still be checking the key.
    pub(super) fn answer(&mut self, now: Instant, id: u64, error: Option<&str>, may_wait: bool) -> Answer {
        let Some(index) = self.waiting.iter().position(|join| join.id == id && join.again.is_none()) else {
            return Answer::Nothing;
        };
        let Some(join) = self.waiting.get_mut(index) else { return Answer::Nothing };
        if error == Some("Forbidden")
            && !join.leaves
            && may_wait
            && let Some(wait) = WAITS.get(join.tries)
        {
            join.tries += 1;
            join.again = Some(now + *wait);
            return Answer::Again;
        }
        let join = self.waiting.remove(index);
        match error {
            Some(_) => self.refused(&join),
            None => self.performed(&join),
        }
    }

    fn refused(&mut self, join: &Join) -> Answer {
        let Some(request) = join.request else { return Answer::Nothing };
        self.decide(request);
        // The other leaves of the same request have no meaning of their own.
        for other in self.waiting.iter_mut().filter(|other| other.request == Some(request)) {
            other.request = None;
        }
        Answer::Refused(request)
    }

    fn performed(&mut self, join: &Join) -> Answer {
        self.joined.retain(|profile| *profile != join.profile);
        if !join.leaves {
            self.proved = true;
            self.joined.push(join.profile.clone());
        }
        match join.request {
            Some(request) if !self.waiting.iter().any(|other| other.request == Some(request)) => {
                self.decide(request);
                Answer::Done(request, join.profile.clone())
            }
            _ => Answer::Nothing,
        }
    }

    fn decide(&mut self, request: RequestId) {
        if self.decided.len() >= MAX_WAITING {
            self.decided.pop_front();
        }
        self.decided.push_back(request);
    }

    /// The documented envelope of a request was acknowledged. Returns whether a join or a leave of the request decides.
    pub(super) fn acknowledged(&mut self, request: RequestId) -> bool {
        let mut decides = false;
        for join in self.waiting.iter_mut().filter(|join| join.request == Some(request)) {
            join.acknowledged = true;
            decides = true;
        }
        decides || self.decided.contains(&request)
    }

    /// Whether a join or a leave decides about this request, or has decided.
    pub(super) fn decides(&self, request: RequestId) -> bool {
        self.waiting.iter().any(|join| join.request == Some(request)) || self.decided.contains(&request)
    }

    /// The packet to send again, with a new id.
    pub(super) fn due_again(&mut self, now: Instant) -> Option<(u64, String)> {
        let join = self.waiting.iter_mut().find(|join| join.again.is_some_and(|again| again <= now))?;
        self.last_id += 1;
        (join.id, join.again, join.overdue) = (self.last_id, None, now + KEY_CHECK);
        Some((join.id, payload(&join.profile, join.leaves)))
    }

    /// What is decided without an answer: a join was withdrawn, or the gateway did not answer it in time although it
    /// acknowledged the envelope.
    pub(super) fn due(&mut self, now: Instant) -> Option<Answer> {
        if let Some(request) = self.withdrawn.pop() {
            return Some(Answer::Refused(request));
        }
        let index = self.waiting.iter().position(|join| join.counts_by_envelope() && join.overdue <= now)?;
        let join = self.waiting.remove(index);
        Some(self.performed(&join))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = |join: &Join| join.again.or(join.counts_by_envelope().then_some(join.overdue));
        let withdrawn = self.withdrawn.first().map(|_| Instant::default());
        self.waiting.iter().filter_map(due).chain(withdrawn).min()
    }
}

impl Join {
    const fn counts_by_envelope(&self) -> bool {
        self.acknowledged && self.again.is_none()
    }
}

/// `["join",{"profileId":"p"}]`.
fn payload(profile: &str, leaves: bool) -> String {
    let argument = object(|argument| argument.string("profileId", profile));
    let name = if leaves { "unsubscribe:profile" } else { "join" };
    alloc::format!(r#"["{name}",{argument}]"#)
}

/// The documented answer to a request: an `ack`, or an `error` with the text of the gateway.
pub(super) fn answer(request: RequestId, error: Option<&str>) -> String {
    object(|message| {
        message.string("type", if error.is_some() { "error" } else { "ack" });
        if let Some(error) = error {
            message.object("payload", |payload| payload.string("error", error));
        }
        message.string("requestId", &alloc::format!("{request}"));
    })
}
