//! Whole clients and a whole server that start, stop and lose connections.

mod model;

use std::time::Duration;

use multiwa_ws_core::frame::CloseCode;
use multiwa_ws_core::handshake::{DeflateConfig, DeflateOffer, Rejection};
use multiwa_ws_core::session::{EventNames, RequestKind};

use self::model::{Model, Snapshot};
use super::{Scenario, draw};
use crate::contract::{ContractViolation, ensure};
use crate::link::{FailureKind, Faults};
use crate::random::Random;
use crate::simulator::{Admission, World};
use crate::transcript::Transcript;

/// Up to three clients at a time and one server. A permanently closed client makes room for the next one.
#[derive(Debug)]
pub struct Peers {
    world: World,
    model: Model,
}

const MAX_CLIENTS: usize = 3;
const PROFILES: [&str; 4] = ["a", "b", "c", "ä"];
const NAMES: [&str; 3] = ["message.received", "qr.updated", "x"];

impl Scenario for Peers {
    fn begin(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut world = World::new(random.up_to(u64::MAX));
        world.config = draw::server(&mut random);
        let mut peers = Self { world, model: Model::default() };
        // If this fails, `finish` reports it.
        _ = peers.add_client(&mut random);
        peers
    }

    fn step(&mut self, random: &mut Random) -> Result<(), ContractViolation> {
        self.operate(random)?;
        self.check()?;
        if self.model.clients().len() < MAX_CLIENTS && random.happens(50_000) {
            self.add_client(random)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ContractViolation> {
        self.recover()?;
        for client in self.model.clients() {
            let now = self.world.now();
            self.world.node(client)?.client.commands().close(now);
        }
        self.world.sleep_until(|world| world.transports().is_empty())?;
        self.check()?;
        self.model.check_endings(&mut self.world)
    }

    fn transcript(&mut self) -> &mut Transcript {
        &mut self.world.transcript
    }
}

impl Peers {
    fn operate(&mut self, random: &mut Random) -> Result<(), ContractViolation> {
        let clients = self.model.clients();
        let Some(&client) = clients.get(random.length_up_to(clients.len().saturating_sub(1))) else { return Ok(()) };
        let transports = self.world.transports();
        let id = transports.get(random.length_up_to(transports.len().saturating_sub(1))).copied().unwrap_or_default();
        let (slices, budget) = (random.length_up_to(4), draw::length(random));
        match random.up_to(999) {
            0..=119 => self.command(client, random)?,
            120..=199 => self.publish(random)?,
            // All steps of a driver, in random order.
            200..=259 => _ = self.world.act(client)?,
            260..=309 => _ = self.world.dial(client)?,
            310..=379 => _ = self.world.client_write(client, slices, budget)?,
            380..=449 => _ = self.world.client_read(client, budget)?,
            450..=489 => _ = self.world.client_tick(client)?,
            490..=529 => _ = self.world.client_events(client)?,
            530..=599 => _ = self.world.server_write(id, slices, budget)?,
            600..=669 => _ = self.world.server_read(id, budget)?,
            670..=709 => _ = self.world.server_tick(id)?,
            710..=749 => _ = self.world.server_events(id)?,
            750..=829 => {
                // A driver usually sleeps after it has done everything.
                if random.happens(800_000) {
                    self.world.settle()?;
                }
                let wait = self.world.next_due().map_or(0, |due| due.saturating_sub(self.world.now().as_nanos()));
                self.world.jump(wait);
            }
            830..=844 => {
                let longest = random.pick([1_000_000, 1_000_000, 1_000_000, 1_000_000_000, 100_000_000_000]);
                self.world.jump(random.up_to(longest));
            }
            845..=929 => self.world.settle()?,
            930..=949 => self.decide(random)?,
            950..=964 => self.pause_or_resume(client)?,
            965..=974 => self.calm()?,
            _ => self.accident(client, random)?,
        }
        Ok(())
    }

    fn command(&mut self, client: usize, random: &mut Random) -> Result<(), ContractViolation> {
        let now = self.world.now();
        let profile = random.pick(PROFILES);
        let named = random.happens(700_000).then_some(profile);
        let events = draw_names(random);
        let node = self.world.node(client)?;
        let before = Snapshot::of(&node.client);
        let (text, result) = match random.up_to(99) {
            0..=24 => ("connect".into(), node.client.connect(now).map(|()| None)),
            25..=59 => {
                let id = node.client.commands().subscribe(now, profile, &events);
                (format!("subscribe {profile} {events:?}"), id.map(|id| Some((id, RequestKind::Subscribe))))
            }
            60..=74 => {
                let id = node.client.commands().unsubscribe(now, named);
                (format!("unsubscribe {named:?}"), id.map(|id| Some((id, RequestKind::Unsubscribe))))
            }
            75..=98 => {
                let id = node.client.commands().ping(now);
                ("ping".into(), id.map(|id| Some((id, RequestKind::Ping))))
            }
            _ => {
                node.client.commands().close(now);
                ("close".into(), Ok(None))
            }
        };
        let after = Snapshot::of(&node.client);
        self.world.note(&format!("client {client}"), format_args!("{text}: {result:?}"));
        match result {
            Err(error) => ensure(before == after, || format!("{error:?} left {before:?} as {after:?}")),
            Ok(None) => Ok(()),
            Ok(Some((id, kind))) => {
                let known = self.model.known.entry(client).or_default();
                let twin = known.open.insert(id, kind);
                ensure(twin.is_none(), || format!("two requests of client {client} are {id}"))
            }
        }
    }

    fn publish(&mut self, random: &mut Random) -> Result<(), ContractViolation> {
        let profile = random.happens(900_000).then(|| random.pick(PROFILES));
        let name = random.pick(NAMES);
        let number = self.model.published.len().to_string();
        self.model.published.push(self.world.publish(profile, name, &number)?.into_iter().collect());
        Ok(())
    }

    fn decide(&mut self, random: &mut Random) -> Result<(), ContractViolation> {
        let tickets = &mut self.model.tickets;
        if tickets.is_empty() {
            return Ok(());
        }
        let (id, ticket) = tickets.swap_remove(random.length_up_to(tickets.len() - 1));
        if self.world.transports().contains(&id) {
            self.world.decide(id, ticket, random.happens(700_000))?;
        }
        Ok(())
    }

    fn pause_or_resume(&mut self, client: usize) -> Result<(), ContractViolation> {
        let known = self.model.known.entry(client).or_default();
        known.paused = !known.paused;
        if known.paused { self.world.pause(client) } else { self.world.resume(client) }
    }

    /// Faults. Most of them end soon.
    fn accident(&mut self, client: usize, random: &mut Random) -> Result<(), ContractViolation> {
        let kind = random.pick([FailureKind::Eof, FailureKind::Reset, FailureKind::Silence]);
        match random.up_to(99) {
            0..=29 => self.world.admission = Admission::Accept,
            30..=39 => self.world.faults = Faults { delay: 0..=1_000_000, ..Faults::default() },
            40..=49 => self.world.faults = draw::faults(random),
            50..=59 => self.world.dial_time = random.pick([0, 1_000_000, 1_000_000_000]),
            60..=64 => self.world.admission = draw_admission(random),
            65..=74 => self.world.cut(client, kind),
            75..=77 => self.world.restart(kind),
            78..=80 => self.world.close_all(CloseCode::new(random.pick([1000, 1001, 1008, 1012, 4000]))),
            81..=84 => {
                self.world.deflate = random.happens(500_000).then(DeflateConfig::default);
                self.world.node(client)?.request.deflate = random.happens(500_000).then(DeflateOffer::default);
            }
            _ => {}
        }
        Ok(())
    }

    /// Ends all faults, and waits. Then every client that has not given up is ready.
    fn recover(&mut self) -> Result<(), ContractViolation> {
        self.world.admission = Admission::Accept;
        self.world.heal();
        self.world.dial_time = 0;
        for client in self.model.clients() {
            if self.model.known.get(&client).is_some_and(|known| known.paused) {
                self.pause_or_resume(client)?;
            }
            let now = self.world.now();
            // Most clients are already connected or connecting.
            _ = self.world.node(client)?.client.connect(now);
        }
        self.world.sleep(RECOVERY)?;
        self.check()?;
        self.model.check_recovery(&mut self.world)
    }

    /// Waits until everything on its way has arrived, and compares the subscriptions of both sides.
    fn calm(&mut self) -> Result<(), ContractViolation> {
        self.world.sleep(Duration::from_millis(500))?;
        self.check()?;
        self.model.check_calm(&mut self.world)
    }

    fn check(&mut self) -> Result<(), ContractViolation> {
        self.model.check(&mut self.world)
    }

    fn add_client(&mut self, random: &mut Random) -> Result<(), ContractViolation> {
        let client = self.world.add_client(draw::client(random));
        self.model.known.entry(client).or_default();
        if random.happens(800_000) {
            let now = self.world.now();
            let connected = self.world.node(client)?.client.connect(now);
            connected.map_err(|error| ContractViolation(format!("a new client does not connect: {error}")))?;
        }
        Ok(())
    }
}

/// Longer than the longest back-off, plus every timeout of a connection after it.
const RECOVERY: Duration = Duration::from_secs(300);

fn draw_names(random: &mut Random) -> EventNames {
    match random.up_to(2) {
        0 => EventNames::every(),
        1 => [random.pick(NAMES)].into_iter().collect(),
        _ => NAMES.into_iter().collect(),
    }
}

fn draw_admission(random: &mut Random) -> Admission {
    match random.up_to(9) {
        0..=3 => Admission::ConnectionRefused,
        4..=6 => Admission::BlackHole,
        7..=8 => Admission::Reject(Rejection::unavailable(Duration::from_secs(1))),
        _ => Admission::Reject(Rejection::unauthorized()),
    }
}
