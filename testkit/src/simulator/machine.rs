//! The deadline of a state machine.

use multiwa_ws_core::{Instant, StateMachine};

use crate::contract::{ContractViolation, ensure};

/// Lets the time `now` come. The state machine handles a deadline that is due, and then has a later one or none.
/// Returns whether a deadline was due.
///
/// # Errors
/// The deadline is still due: a driver would loop forever without sleeping.
pub fn tick(machine: &mut impl StateMachine<Outcome = ()>, now: Instant) -> Result<bool, ContractViolation> {
    let Some(due) = machine.poll_timeout().filter(|due| *due <= now) else { return Ok(false) };
    machine.handle_timeout(now);
    let after = machine.poll_timeout();
    ensure(after.is_none_or(|after| after > now), || {
        format!("handle_timeout({now:?}), due since {due:?}, is due again at {after:?}")
    })?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state machine that moves its deadline by `step` at each call.
    struct Clockwork {
        due: u64,
        step: u64,
    }

    impl StateMachine for Clockwork {
        type Outcome = ();

        fn handle_eof(&mut self, _now: Instant) {}
        fn handle_lost(&mut self, _now: Instant) {}
        fn handle_timeout(&mut self, _now: Instant) {
            self.due += self.step;
        }
        fn poll_timeout(&self) -> Option<Instant> {
            Some(Instant::from_nanos(self.due))
        }
        fn poll_transmit<'q>(&'q self, _slices: &mut [&'q [u8]]) -> usize {
            0
        }
        fn transmitted(&mut self, _now: Instant, _len: usize) {}
        fn poll_shutdown(&self) -> bool {
            false
        }
        fn shutdown_done(&mut self) {}
    }

    #[test]
    fn a_deadline_that_stays_is_found() {
        let at = Instant::from_nanos;
        assert_eq!(tick(&mut Clockwork { due: 5, step: 1 }, at(4)), Ok(false));
        assert_eq!(tick(&mut Clockwork { due: 5, step: 1 }, at(5)), Ok(true));
        assert!(tick(&mut Clockwork { due: 5, step: 0 }, at(5)).is_err());
        assert!(tick(&mut Clockwork { due: 5, step: 1 }, at(6)).is_err());
    }
}
