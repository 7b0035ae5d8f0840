//! What the judge remembers of what it was told.

use std::collections::BTreeMap;

use super::facts::{Fact, Media, Moment, Purpose, Rules, Standing};

/// A write may take this long to take effect, and a reader may have read just before: what is
/// *certain* is certain by this much.
pub(super) const SLACK: u64 = 5_000;
/// EC2 shows a change up to 20 s late.
const SHOWN: u64 = 21_000;

/// Everything that is remembered.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) rules: Rules,
    pub(super) servers: BTreeMap<String, Server>,
    pub(super) leases: BTreeMap<String, Lease>,
    /// By client and lease.
    pub(super) promises: BTreeMap<(String, String), Promise>,
    /// Accepted launches (true) and starts (false).
    pub(super) boots: Vec<(Moment, bool)>,
    /// Starts for which nobody but this subject can have paid.
    pub(super) paid: BTreeMap<String, Vec<Moment>>,
    pub(super) crashes: Vec<Moment>,
    pub(super) failed_stops: Vec<Moment>,
    pub(super) hindered_at: Moment,
    /// The table takes few row writes now.
    pub(super) rows_refused: bool,
    pub(super) excused_until: Moment,
    /// When something last happened to a server.
    pub(super) moved_at: Moment,
    /// Whether EC2 answered each process's last describe.
    pub(super) readable: BTreeMap<u64, bool>,
    /// As of when EC2 answered one, in order.
    describes: Vec<Moment>,
    /// When a call that takes the address off last left.
    pub(super) took_off_at: Moment,
    /// What media servers said to a process that has not written since.
    said: BTreeMap<u64, Vec<(String, Moment)>>,
    /// What apps wait for, and until when.
    pub(super) asked: BTreeMap<(String, u64), Moment>,
    /// Who waits and has not been seen by the reconciler, and since when.
    pub(super) unseen: BTreeMap<String, Moment>,
}

/// How EC2 runs a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    Pending,
    Running,
    Stopping,
    Stopped,
    Gone,
}

/// One server, in its present run.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) power: Power,
    pub(super) held_since: Option<Moment>,
    pub(super) address_on: bool,
    /// When another hand started it or put it there, for this run.
    pub(super) foreign_since: Option<Moment>,
    /// When it came to a stand.
    pub(super) stood_at: Option<Moment>,
    pub(super) media: Media,
    /// Its settings were found wrong in this run: it is of no use to who waits.
    pub(super) unsound: bool,
    /// The grants: since when at first, since when now, and the boot's number.
    pub(super) opened: Option<(Moment, Moment)>,
    pub(super) boot: u64,
    pub(super) proving: bool,
    pub(super) closing: Option<Closing>,
    /// The last report that was no zero and was taken in.
    pub(super) busy_at: Moment,
    /// The zeros that were reported since.
    pub(super) zeros: Vec<Moment>,
    /// The last questions whose answer showed publishers, and viewers.
    pub(super) published_at: Option<Moment>,
    pub(super) played_at: Option<Moment>,
    /// The end of the last stream token that was handed out for it.
    pub(super) token_until: Moment,
    /// When its run began.
    began_at: Moment,
    /// When another hand took it down. Started again by one, it is still the old boot to us.
    pub(super) taken_at: Option<Moment>,
    /// When we started it since.
    pub(super) seen_down_at: Option<Moment>,
    /// Who was there when it went down.
    pub(super) at_halt: (u64, u64),
    /// When it last had a reason to run.
    pub(super) reason_at: Moment,
}

/// The commitment to a stop.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    pub(super) at: Moment,
    /// Why it came too early, if it did.
    pub(super) early: Option<String>,
    /// Who certainly needed the server then.
    pub(super) over: Vec<String>,
}

/// One ask.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) subject: String,
    pub(super) purpose: Purpose,
    pub(super) standing: Standing,
    /// Since when it stands so.
    pub(super) since: Moment,
    /// When it was last asked for.
    pub(super) asked_at: Moment,
    pub(super) gone_since: Option<Moment>,
    /// Since when it is past its deadline.
    pub(super) late_since: Option<Moment>,
}

/// An endpoint in somebody's hand.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) server: String,
    /// When the first one for this server arrived.
    pub(super) first_at: Moment,
    pub(super) token_until: Moment,
    /// Its owner has had one and the same link since.
    pub(super) steady: bool,
}

impl Known {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            servers: BTreeMap::new(),
            leases: BTreeMap::new(),
            promises: BTreeMap::new(),
            boots: Vec::new(),
            paid: BTreeMap::new(),
            crashes: Vec::new(),
            failed_stops: Vec::new(),
            hindered_at: 0,
            rows_refused: false,
            excused_until: 0,
            moved_at: 0,
            readable: BTreeMap::new(),
            describes: Vec::new(),
            took_off_at: 0,
            said: BTreeMap::new(),
            asked: BTreeMap::new(),
            unseen: BTreeMap::new(),
        }
    }

    /// Takes a fact in, after the laws have seen it.
    pub(super) fn learn(&mut self, at: Moment, fact: &Fact) {
        match fact {
            Fact::Launched(_)
            | Fact::Started { .. }
            | Fact::Runs(_)
            | Fact::StopAccepted { .. }
            | Fact::Stopped(_)
            | Fact::Terminated(_) => self.moved_at = at,
            _ => {}
        }
        match fact {
            Fact::Launched(id) => {
                self.boots.push((at, true));
                self.server(id).begins(Power::Pending, at);
            }
            Fact::Started { server, ours } => {
                if *ours {
                    self.boots.push((at, false));
                }
                let server = self.server(server);
                server.begins(Power::Pending, at);
                // We start what we have seen stand.
                server.seen_down_at = ours.then_some(at).or(server.seen_down_at);
                server.foreign_since = (!ours).then_some(at);
            }
            Fact::Runs(id) => self.server(id).begins(Power::Running, at),
            Fact::Stranger(id) => self.server(id).foreign_since = Some(at),
            Fact::StopAccepted { server, ours } => {
                self.goes_down(at, server, Power::Stopping, *ours)
            }
            Fact::Stopped(id) => self.goes_down(at, id, Power::Stopped, false),
            Fact::Terminated(id) => self.goes_down(at, id, Power::Gone, false),
            Fact::Address { server, on, .. } => self.server(server).address_on = *on,
            Fact::Hold { server, on } => self.server(server).held_since = on.then_some(at),
            Fact::Described {
                by,
                readable,
                as_of,
            } => {
                self.readable.insert(*by, *readable);
                // A new round: what the last one saw and could not write is forgotten.
                self.said.remove(by);
                if *readable {
                    // A process that froze over the answer tells of it late.
                    if self.describes.last().is_none_or(|last| last < as_of) {
                        self.describes.push(*as_of);
                    }
                } else {
                    self.every_server_has_a_reason(at);
                }
            }
            Fact::StopFailed => self.failed_stops.push(at),
            Fact::Read { began } => self.unseen.retain(|_, since| *since > *began),
            Fact::Wrote { by } => self.taken_in(*by),
            Fact::Media { server, media } => {
                let server = self.server(server);
                server.unsound |= media.up && !media.sound;
                server.media = *media;
            }
            Fact::Halted {
                server,
                streams,
                viewers,
            } => {
                self.server(server).at_halt = (*streams, *viewers);
            }
            Fact::Reported {
                by,
                server,
                began,
                counts,
            } => {
                self.reported(at, *by, server, *began, *counts);
            }
            Fact::Opened {
                server,
                boot,
                since,
            } => self.opened(at, server, *boot, *since),
            Fact::Proving(id) => {
                let server = self.server(id);
                (server.proving, server.closing) = (true, None);
            }
            Fact::Intended => {
                if let Some(subject) = self.only_payer() {
                    self.paid.entry(subject).or_default().push(at);
                }
            }
            Fact::Recorded {
                lease,
                subject,
                purpose,
                standing,
                gone_since,
            } => {
                self.recorded(at, (lease, subject), *purpose, standing, *gone_since);
            }
            Fact::Asked { who, key, until } => {
                self.asked.insert((who.clone(), *key), *until);
            }
            Fact::Answered { who, key } => {
                self.asked.remove(&(who.clone(), *key));
            }
            Fact::Promised {
                who,
                lease,
                server,
                token_until,
            } => {
                self.promised(at, (who, lease), server.as_deref(), *token_until);
            }
            Fact::Lost { who, lease } => self.gives_up(who, Some(lease)),
            Fact::Left { who, lease } => self.gives_up(who, lease.as_deref()),
            Fact::Killed { who } => {
                self.gives_up(who, None);
                self.asked.retain(|(name, _), _| name != who);
            }
            Fact::LinkEnded { who } => {
                for (_, promise) in self.promises_of(who) {
                    promise.steady = false;
                }
            }
            Fact::Excused { until } => self.excused_until = self.excused_until.max(*until),
            Fact::RowsRefused(on) => self.rows_refused = *on,
            Fact::Crashed => self.crashes.push(at),
            Fact::Hindered => self.hindered_at = at,
            Fact::PowerCall { call, .. } => {
                if *call == "disassociate" {
                    self.took_off_at = at;
                }
            }
            Fact::Closing { .. } | Fact::RanOut | Fact::Unreachable { .. } | Fact::Cut { .. } => {}
        }
    }

    /// Notes the commitment to a stop, as the laws have judged it.
    pub(super) fn closes(&mut self, id: &str, closing: Closing) {
        self.server(id).closing = Some(closing);
    }

    pub(super) fn server(&mut self, id: &str) -> &mut Server {
        let entry = self.servers.entry(id.to_owned());
        entry.or_insert_with(|| Server::new(Power::Stopped, 0))
    }

    pub(super) fn crashes_since(&self, since: Moment) -> u64 {
        count_since(&self.crashes, since)
    }

    pub(super) fn failed_stops_since(&self, since: Moment) -> u64 {
        count_since(&self.failed_stops, since)
    }

    /// How far a moment on one clock of the cloud may be from what another made of it.
    pub(super) fn slack(&self) -> u64 {
        SLACK + self.rules.clocks_apart
    }

    /// The time for which a grant protects.
    pub(super) fn protection(&self, purpose: Purpose) -> u64 {
        match purpose {
            Purpose::Publish => self.rules.protect_publish,
            Purpose::Play => self.rules.protect_play,
            Purpose::Watch => 0,
        }
    }

    /// When a look of ours first must have shown what happened at that moment. None while EC2 has
    /// not answered since.
    pub(super) fn shown(&self, happened: Moment) -> Option<Moment> {
        let from = happened + SHOWN;
        let first = self.describes.partition_point(|at| *at < from);
        self.describes.get(first).copied()
    }

    /// Whether a look of ours must have shown that another hand stopped this server and started it
    /// again: what runs is another boot, and it never granted. Who read the record before that look
    /// was still given the boot that was.
    pub(super) fn started_anew(&self, server: &Server, at: Moment) -> bool {
        let anew = (server.taken_at).is_some_and(|taken| taken < server.began_at);
        let granted = (server.opened).is_some_and(|(_, now)| now >= server.began_at);
        let shown = || self.shown(server.began_at).is_some_and(|shown| shown <= at);
        anew && !granted && shown()
    }

    /// What crashes, lost calls and lost wakes since then may cost whoever has something to do.
    pub(super) fn delays(&self, since: Moment) -> u64 {
        let (lock, tick) = (self.rules.lock, self.rules.tick);
        // The lock of who died shortly before is still held.
        let troubled = since.saturating_sub(lock + tick);
        let crashes = self.crashes_since(troubled);
        let hindered = crashes > 0 || self.hindered_at >= troubled;
        crashes * (lock + tick) + if hindered { tick } else { 0 }
    }

    fn goes_down(&mut self, at: Moment, id: &str, power: Power, ours: bool) {
        let server = self.server(id);
        if server.power == Power::Running && !ours {
            (server.taken_at, server.seen_down_at) = (Some(at), None);
        }
        server.power = power;
        server.stood_at = (power == Power::Stopped).then_some(at);
    }

    fn opened(&mut self, at: Moment, id: &str, boot: u64, since: Moment) {
        let since = since.min(at);
        let server = self.server(id);
        // A run that was taken down just before its opening was written down is taken down still.
        let over = server.taken_at.is_none_or(|at| at < server.began_at);
        if server.boot != boot && over {
            (server.taken_at, server.seen_down_at) = (None, None);
        }
        let first = server.opened.map_or(since, |(first, _)| first);
        server.opened = Some((first, since));
        server.boot = boot;
        server.proving = false;
        server.closing = None;
        server.reason_at = at;
    }

    /// A count above zero ends protection at once; that a look was no zero counts once the process
    /// has written it down, since a crash before forgets it.
    fn reported(
        &mut self,
        at: Moment,
        by: u64,
        id: &str,
        began: Moment,
        counts: Option<(u64, u64)>,
    ) {
        let server = self.server(id);
        let (streams, viewers) = counts.unwrap_or_default();
        if streams > 0 {
            server.published_at = Some(began);
        }
        if viewers > 0 {
            server.played_at = Some(began);
        }
        if counts == Some((0, 0)) {
            server.zeros.push(began);
        } else {
            server.reason_at = at;
            self.said.entry(by).or_default().push((id.to_owned(), at));
        }
    }

    fn taken_in(&mut self, by: u64) {
        for (id, at) in self.said.remove(&by).unwrap_or_default() {
            let server = self.server(&id);
            server.busy_at = server.busy_at.max(at);
            server.zeros.retain(|zero| *zero >= at);
        }
    }

    fn every_server_has_a_reason(&mut self, at: Moment) {
        for server in self.servers.values_mut() {
            server.reason_at = at;
        }
    }

    /// Who pays for a start, if only one subject waits and the operator wants none.
    fn only_payer(&self) -> Option<String> {
        let waits = |lease: &&Lease| {
            let waits = matches!(lease.standing, Standing::Waits { .. });
            waits && lease.purpose != Purpose::Watch
        };
        let mut subjects = self
            .leases
            .values()
            .filter(waits)
            .map(|lease| &lease.subject);
        let first = subjects.next().filter(|_| self.rules.min == 0)?;
        subjects
            .all(|subject| subject == first)
            .then(|| first.clone())
    }

    fn recorded(
        &mut self,
        at: Moment,
        (id, subject): (&str, &str),
        purpose: Option<Purpose>,
        standing: &Standing,
        gone_since: Option<Moment>,
    ) {
        let Some(purpose) = purpose.filter(|_| *standing != Standing::Over) else {
            self.leases.remove(id);
            self.unseen.remove(id);
            return;
        };
        let waits = matches!(standing, Standing::Waits { .. });
        let lease = self.leases.entry(id.to_owned()).or_insert_with(|| Lease {
            subject: subject.to_owned(),
            purpose,
            standing: Standing::Over,
            since: at,
            asked_at: at,
            gone_since,
            late_since: None,
        });
        lease.gone_since = gone_since;
        if lease.standing != *standing {
            if waits || lease.standing == Standing::Over {
                lease.asked_at = at;
            }
            lease.standing = standing.clone();
            lease.since = at;
            lease.late_since = None;
            if waits && purpose != Purpose::Watch {
                self.unseen.insert(id.to_owned(), at);
            }
        }
        if !waits {
            self.unseen.remove(id);
        }
        // However short the wait is.
        if waits && purpose != Purpose::Watch {
            self.every_server_has_a_reason(at);
        }
    }

    fn promised(
        &mut self,
        at: Moment,
        (who, lease): (&str, &str),
        server: Option<&str>,
        token_until: Moment,
    ) {
        let Some(server) = server else { return };
        let known = self.server(server);
        known.token_until = known.token_until.max(token_until);
        let name = (who.to_owned(), lease.to_owned());
        let before = self.promises.get(&name);
        let before = before.filter(|before| before.server == server);
        let promise = Promise {
            server: server.to_owned(),
            first_at: before.map_or(at, |before| before.first_at),
            token_until,
            steady: before.is_none_or(|before| before.steady),
        };
        self.promises.insert(name, promise);
    }

    fn gives_up(&mut self, who: &str, lease: Option<&str>) {
        match lease {
            Some(lease) => {
                self.promises.remove(&(who.to_owned(), lease.to_owned()));
            }
            None => {
                let own: Vec<_> = self
                    .promises_of(who)
                    .map(|(name, _)| name.clone())
                    .collect();
                for name in own {
                    self.promises.remove(&name);
                }
            }
        }
    }

    fn promises_of(
        &mut self,
        who: &str,
    ) -> impl Iterator<Item = (&(String, String), &mut Promise)> {
        let from = (who.to_owned(), String::new());
        let own = self.promises.range_mut(from..);
        own.take_while(move |((name, _), _)| name == who)
    }
}

impl Server {
    fn new(power: Power, at: Moment) -> Self {
        Self {
            power,
            held_since: None,
            address_on: false,
            foreign_since: None,
            stood_at: None,
            media: Media {
                sound: true,
                ..Media::default()
            },
            unsound: false,
            opened: None,
            boot: 0,
            proving: false,
            closing: None,
            busy_at: 0,
            zeros: Vec::new(),
            published_at: None,
            played_at: None,
            token_until: 0,
            began_at: at,
            taken_at: None,
            seen_down_at: None,
            at_halt: (0, 0),
            reason_at: at,
        }
    }

    /// Another run of it begins: what is known of the last one is over, but for what we may not
    /// have noticed.
    fn begins(&mut self, power: Power, at: Moment) {
        *self = Self {
            held_since: self.held_since,
            address_on: self.address_on,
            foreign_since: self.foreign_since,
            taken_at: self.taken_at,
            seen_down_at: self.seen_down_at,
            boot: self.boot,
            ..Self::new(power, at)
        };
    }

    /// When a look last showed somebody of this kind.
    pub(super) fn seen_at(&self, purpose: Purpose) -> Option<Moment> {
        match purpose {
            Purpose::Publish => self.published_at,
            Purpose::Play => self.played_at,
            Purpose::Watch => None,
        }
    }
}

fn count_since(moments: &[Moment], since: Moment) -> u64 {
    let from = moments.partition_point(|at| *at < since);
    moments.len().saturating_sub(from) as u64
}
