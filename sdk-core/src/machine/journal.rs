//! The journal: the last things that happened, and the counters. It grows only when something
//! happens, so a client that never did anything pays one pointer for it.
//!
//! Nothing in it decides anything, and no text is made for it on the machine's own paths.

use std::collections::VecDeque;

use super::gateways::GatewayIndex;
use super::input::{AccessAnswer, Epoch, Input};
use super::links::{Link, LinkEnd, LinkStage};
use super::metrics::{Metrics, count};
use super::output::{Effect, Event, LeaseChange};
use super::record::{Detail, EndCause, EnvironmentChange, Happening, TokenFault, Wish};
use super::state::ConnectionState;
use super::{Intent, Machine, ReconnectReason, scrub};
use crate::protocol::{ClientMessage, LostReason, Phase, ServerMessage};
use crate::{Error, ErrorCode, Instant, Stage};

/// Records that are kept. A failed attempt leaves three and a cold start with its stream about
/// twenty, so this is the last forty attempts (ten minutes of them once the backoff is at its cap)
/// or the whole of a cold start. A record takes about 100 bytes, and at most one text of 200; as
/// text, all of them and the explanation stay below 64 KB.
pub(super) const RECORDS: usize = 128;
/// Attempts that are told as evidence: more than a person reads.
pub(super) const TRIES: usize = 4;
/// Ends of requests, acquisitions and leases that are told as evidence.
pub(super) const ENDINGS: usize = 8;

/// The records and counters of one machine; none until something happens.
#[derive(Debug, Default)]
pub(super) struct Journal(Option<Box<Book>>);

/// What a journal holds once it holds anything.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) entries: VecDeque<Entry>,
    /// Older entries that made room.
    pub(super) forgotten: u64,
    /// The last attempts, oldest first.
    pub(super) tries: VecDeque<Try>,
    /// What ended last, oldest first.
    pub(super) endings: VecDeque<Ending>,
    /// What was wrong with the last token; none once one was accepted.
    pub(super) token_fault: Option<(Instant, TokenFault)>,
    /// The last access check since the last `welcome`, and its status if it was answered.
    pub(super) access: Option<(Instant, Option<u16>)>,
    /// The oldest ping that has no pong yet.
    pub(super) ping: Option<(Epoch, Instant)>,
    pub(super) metrics: Metrics,
}

/// One record with its time.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: Instant,
    pub(super) times: u32,
    pub(super) what: Happening,
}

/// One attempt to connect.
#[derive(Debug)]
pub(super) struct Try {
    pub(super) epoch: Epoch,
    pub(super) gateway: GatewayIndex,
    pub(super) began: Instant,
    pub(super) welcomed: Option<Instant>,
    pub(super) ended: Option<TryEnd>,
}

/// How an attempt, or the link that it became, ended.
#[derive(Debug)]
pub(super) struct TryEnd {
    pub(super) at: Instant,
    pub(super) cause: EndCause,
    pub(super) code: Option<ErrorCode>,
    pub(super) detail: Option<Detail>,
}

/// The end of something that the app waited for or held.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) at: Instant,
    pub(super) times: u32,
    pub(super) of: EndingOf,
    pub(super) code: ErrorCode,
    pub(super) stage: Stage,
    pub(super) detail: Option<Detail>,
}

/// What ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EndingOf {
    Acquisition(Box<str>),
    Lease(Box<str>, LostReason),
    Request,
    /// Nothing: something went wrong that belongs to no request.
    Nothing,
}

impl Journal {
    /// Returns the book, if there is one.
    pub(super) fn book(&self) -> Option<&Book> {
        self.0.as_deref()
    }

    fn book_mut(&mut self) -> &mut Book {
        self.0.get_or_insert_default()
    }
}

impl Book {
    fn push(&mut self, at: Instant, what: Happening) {
        if let Some(last) = self.entries.back_mut()
            && last.what == what
        {
            last.at = at;
            last.times = last.times.saturating_add(1);
            return;
        }
        if self.entries.len() >= RECORDS {
            self.entries.pop_front();
            self.forgotten = self.forgotten.saturating_add(1);
        }
        self.entries.push_back(Entry { at, times: 1, what });
    }

    fn try_of(&mut self, epoch: Epoch) -> Option<&mut Try> {
        self.tries.iter_mut().find(|one| one.epoch == epoch)
    }

    fn end(&mut self, ending: Ending) {
        let known = self
            .endings
            .iter()
            .position(|known| known.of == ending.of && known.code == ending.code);
        let times = match known.and_then(|at| self.endings.remove(at)) {
            Some(known) => known.times.saturating_add(1),
            None => 1,
        };
        if self.endings.len() >= ENDINGS {
            self.endings.pop_front();
        }
        self.endings.push_back(Ending { times, ..ending });
    }
}

impl Machine {
    /// Notes that something happened.
    pub(super) fn note(&mut self, what: Happening) {
        self.journal.book_mut().push(self.now, what);
    }

    /// The counters, to count in.
    pub(super) fn counters(&mut self) -> &mut Metrics {
        &mut self.journal.book_mut().metrics
    }

    /// Notes what the app or the system says.
    pub(super) fn note_input(&mut self, input: &Input) {
        let environment = &self.environment;
        let asked = |wish, id: Option<&str>| Happening::Asked {
            wish,
            id: id.map(scrub::id),
        };
        let change = |change| Happening::Environment { change };
        let what = match input {
            Input::Connect if self.intent == Intent::Idle => asked(Wish::Connect, None),
            Input::Acquire { acquire, .. } => asked(acquire.purpose.into(), acquire.preset_id()),
            Input::Cancel { key } => asked(Wish::Cancel, self.acquisition_id(*key)),
            Input::Abandon { key } if self.acquires(*key) => {
                asked(Wish::Cancel, self.acquisition_id(*key))
            }
            Input::Endpoint { lease, .. } => asked(Wish::Endpoint, Some(lease)),
            Input::Release { lease, .. } => asked(Wish::Release, Some(lease)),
            Input::Status { .. } => asked(Wish::Status, None),
            Input::Retry => asked(Wish::Retry, None),
            Input::Close => asked(Wish::Close, None),
            Input::Detach => asked(Wish::Detach, None),
            // Before anything is wanted, what the system says needs no memory.
            _ if self.intent == Intent::Idle => return,
            Input::NetworkUp if environment.offline => change(EnvironmentChange::NetworkUp),
            Input::NetworkDown if !environment.offline => change(EnvironmentChange::NetworkDown),
            Input::NetworkChanged => change(EnvironmentChange::NetworkChanged),
            Input::Foreground if environment.background => change(EnvironmentChange::Foreground),
            Input::Background if !environment.background => change(EnvironmentChange::Background),
            Input::ClockJumped => change(EnvironmentChange::ClockJumped),
            _ => return,
        };
        self.note(what);
    }

    /// Notes what the driver is asked to do.
    pub(super) fn note_effect(&mut self, effect: &Effect) {
        let now = self.now;
        let what = match effect {
            Effect::OpenTransport { epoch, gateway, .. } => {
                let book = self.journal.book_mut();
                count(&mut book.metrics.attempts);
                if book.tries.len() >= TRIES {
                    book.tries.pop_front();
                }
                book.tries.push_back(Try {
                    epoch: *epoch,
                    gateway: *gateway,
                    began: now,
                    welcomed: None,
                    ended: None,
                });
                Happening::Opening {
                    epoch: epoch.0,
                    gateway: *gateway,
                }
            }
            Effect::FetchToken { reason, .. } => {
                count(&mut self.counters().tokens_asked);
                Happening::TokenAsked { reason: *reason }
            }
            Effect::CheckAccess { gateway, .. } => {
                count(&mut self.counters().access_checks);
                Happening::AccessAsked { gateway: *gateway }
            }
            Effect::Probe { .. } => {
                count(&mut self.counters().proofs);
                Happening::Probing
            }
            Effect::Send { .. } | Effect::CloseTransport { .. } | Effect::CancelProbe { .. } => {
                return;
            }
        };
        self.note(what);
    }

    /// Notes what the app is told.
    pub(super) fn note_event(&mut self, event: &Event) {
        match event {
            Event::State(state) => self.note_state(state),
            Event::Lease {
                lease,
                status,
                change,
            } => {
                let id = scrub::id(lease);
                let reason = match change {
                    LeaseChange::Lost { reason } => Some(*reason),
                    _ => None,
                };
                match change {
                    LeaseChange::Lost { reason } => {
                        count(&mut self.counters().leases_lost);
                        self.note_ending(Ending {
                            at: self.now,
                            times: 1,
                            of: EndingOf::Lease(id.clone(), *reason),
                            code: ErrorCode::LeaseLost,
                            stage: Stage::Lease,
                            detail: None,
                        });
                    }
                    LeaseChange::Moved { .. } => count(&mut self.counters().leases_moved),
                    _ => {}
                }
                // A drain that was undone and a fresh stream token look alike: both are `Held`.
                self.note(Happening::Lease {
                    id,
                    status: *status,
                    reason,
                });
            }
            Event::Diagnostic(error) => {
                let code = scrub::code(error.code());
                let stage = error.stage();
                // What is wrong with tokens has records of its own.
                if stage != Stage::Token {
                    self.note_ending(Ending {
                        at: self.now,
                        times: 1,
                        of: EndingOf::Nothing,
                        code: code.clone(),
                        stage,
                        detail: None,
                    });
                    self.note(Happening::Reported { code, stage });
                }
            }
            Event::Settled { .. } | Event::Progress { .. } => {}
        }
    }

    fn note_state(&mut self, state: &ConnectionState) {
        let code = match state {
            ConnectionState::Failed { error } => Some(scrub::code(error.code())),
            ConnectionState::Reconnecting {
                reason: ReconnectReason::Failure(code),
                ..
            } => Some(scrub::code(code)),
            _ => None,
        };
        let what = Happening::State {
            state: state.kind(),
            code,
        };
        // The same state comes with every attempt: told once, it leaves room for what differs.
        let book = self.journal.book_mut();
        let mut entries = book.entries.iter().rev();
        let last = entries.find(|entry| matches!(entry.what, Happening::State { .. }));
        if last.is_none_or(|last| last.what != what) {
            book.push(self.now, what);
        }
    }

    pub(super) fn note_ending(&mut self, ending: Ending) {
        self.journal.book_mut().end(ending);
    }

    /// Notes a failure that is told to a waiter.
    pub(super) fn note_failed(
        &mut self,
        acquisition: Option<&str>,
        error: &Error,
        why: Option<Detail>,
    ) {
        let id = acquisition.map(scrub::id);
        let code = scrub::code(error.code());
        let stage = error.stage();
        // Our own words on a wrong argument say what to mend; a server's are not kept.
        let ours = stage == Stage::Local && code == ErrorCode::InvalidArgument;
        let detail = why.or_else(|| ours.then(|| Detail::text(error.message())));
        if id.is_some() {
            count(match code {
                ErrorCode::Cancelled => &mut self.counters().acquires_cancelled,
                _ => &mut self.counters().acquires_failed,
            });
        }
        let of = id.clone().map_or(EndingOf::Request, EndingOf::Acquisition);
        self.note_ending(Ending {
            at: self.now,
            times: 1,
            of,
            code: code.clone(),
            stage,
            detail,
        });
        self.note(Happening::Failed {
            id,
            code,
            stage,
            outcome: error.outcome(),
        });
    }

    /// Notes what else is known of an acquisition that has just ended.
    pub(super) fn note_why(&mut self, acquisition: &str, why: Detail) {
        if let Some(last) = self.journal.book_mut().endings.back_mut()
            && last.of == EndingOf::Acquisition(scrub::id(acquisition))
        {
            last.detail = Some(why);
        }
    }

    /// Notes a message that is written.
    pub(super) fn note_sent(&mut self, epoch: Epoch, message: &ClientMessage) {
        let now = self.now;
        let book = self.journal.book_mut();
        count(&mut book.metrics.messages_sent);
        match message {
            ClientMessage::Ping(_) => {
                book.ping.get_or_insert((epoch, now));
            }
            message => self.note(Happening::Sent {
                message: message.action(),
            }),
        }
    }

    /// Notes a message that came; `None` for one that could not be read.
    pub(super) fn note_received(&mut self, epoch: Epoch, message: Option<&ServerMessage>) {
        let now = self.now;
        let book = self.journal.book_mut();
        count(&mut book.metrics.messages_received);
        match message {
            Some(ServerMessage::Pong(_)) => {
                if let Some((_, sent)) = book.ping.take_if(|(asked, _)| *asked == epoch) {
                    book.metrics.round_trip.note(now.since(sent));
                }
            }
            None | Some(ServerMessage::Ack(_) | ServerMessage::Progress(_)) => {}
            Some(message) => {
                let message = match message {
                    ServerMessage::Welcome(_) => "welcome",
                    ServerMessage::Ready(_) => "ready",
                    ServerMessage::Endpoint(_) => "endpoint",
                    ServerMessage::Draining(_) => "draining",
                    ServerMessage::Moved(_) => "moved",
                    ServerMessage::Lost(_) => "lost",
                    ServerMessage::Renewed(_) => "renewed",
                    ServerMessage::Status(_) => "status",
                    ServerMessage::Error(_) => "error",
                    ServerMessage::Bye(_) => "bye",
                    ServerMessage::Gateway(_) => "gateway_error",
                    _ => "unknown",
                };
                self.note(Happening::Received { message });
            }
        }
    }

    /// Notes that a link was welcomed.
    pub(super) fn note_welcomed(&mut self, epoch: Epoch, rotation: bool) {
        let now = self.now;
        let book = self.journal.book_mut();
        let took = match book.try_of(epoch) {
            Some(one) => {
                one.welcomed = Some(now);
                now.since(one.began)
            }
            None => return,
        };
        let metrics = &mut book.metrics;
        if rotation {
            count(&mut metrics.rotations);
        } else if metrics.welcomes > 0 {
            count(&mut metrics.reconnects);
        }
        count(&mut metrics.welcomes);
        metrics.time_to_connect.note(took);
        book.access = None;
        book.token_fault = None;
        self.note(Happening::Welcomed {
            epoch: epoch.0,
            took,
        });
    }

    /// Notes that a link ended, and why.
    pub(super) fn note_link_end(&mut self, link: &Link, end: &LinkEnd) {
        let welcomed = link.stage == LinkStage::Live;
        let hello_sent = matches!(link.stage, LinkStage::Hello { .. });
        let code = end.clone().judge(welcomed).0.code().clone();
        let cause = end.cause(hello_sent);
        self.note_end(link.epoch, welcomed, cause, Some(&code), end.detail());
    }

    /// Notes that a transport ended. What was noted of it before stands.
    pub(super) fn note_end(
        &mut self,
        epoch: Epoch,
        welcomed: bool,
        cause: EndCause,
        code: Option<&ErrorCode>,
        detail: Option<Detail>,
    ) {
        let now = self.now;
        let code = code.map(scrub::code);
        let book = self.journal.book_mut();
        book.ping.take_if(|(asked, _)| *asked == epoch);
        let known = book.try_of(epoch);
        if known.as_ref().is_some_and(|one| one.ended.is_some()) {
            return;
        }
        if let Some(one) = known {
            let (code, detail) = (code.clone(), detail.clone());
            one.ended = Some(TryEnd {
                at: now,
                cause,
                code,
                detail,
            });
        }
        let metrics = &mut book.metrics;
        let causes = if welcomed {
            &mut metrics.drops
        } else {
            &mut metrics.failed_attempts
        };
        causes.note(cause);
        self.note(Happening::Ended {
            epoch: epoch.0,
            welcomed,
            cause,
            code,
            detail,
        });
    }

    /// Notes what was wrong with a token.
    pub(super) fn note_token_fault(&mut self, fault: TokenFault) {
        let now = self.now;
        let book = self.journal.book_mut();
        count(&mut book.metrics.token_faults);
        book.token_fault = Some((now, fault));
        self.note(Happening::TokenFault { fault });
    }

    /// Notes that a token was accepted: what was wrong before is mended.
    pub(super) fn note_token_accepted(&mut self) {
        self.journal.book_mut().token_fault = None;
    }

    /// Notes the answer to an access check.
    pub(super) fn note_access(&mut self, answer: &AccessAnswer) {
        let status = match answer {
            AccessAnswer::Http { status, .. } => Some(*status),
            AccessAnswer::Unreachable { .. } => None,
        };
        self.journal.book_mut().access = Some((self.now, status));
        self.note(Happening::AccessAnswered { status });
    }

    /// Notes a grant.
    pub(super) fn note_granted(
        &mut self,
        id: &str,
        asked: Instant,
        told: Option<(Instant, Instant)>,
        ready: Instant,
    ) {
        let now = self.now;
        let metrics = self.counters();
        match told {
            Some((begin, expected)) => {
                count(&mut metrics.acquires_cold);
                metrics.time_to_ready_cold.note(now.since(asked));
                metrics
                    .eta_error
                    .note(expected.since(begin), ready.since(begin));
            }
            None => {
                count(&mut metrics.acquires_warm);
                metrics.time_to_ready_warm.note(now.since(asked));
            }
        }
        self.note(Happening::Granted { id: scrub::id(id) });
    }

    /// Notes the end of a link by our own doing.
    pub(super) fn note_own_end(&mut self, link: &Link) {
        let welcomed = link.stage == LinkStage::Live;
        self.note_end(link.epoch, welcomed, EndCause::Own, None, None);
    }

    /// Notes a phase that is another one than before.
    pub(super) fn note_phase(&mut self, id: &str, before: Phase, after: Phase) {
        if before != after {
            self.note(Happening::Phase {
                id: scrub::id(id),
                phase: after,
            });
        }
    }
}
