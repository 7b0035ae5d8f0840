//! The block of live lines: where everybody is right now.

use std::collections::BTreeMap;
use std::time::Duration;

use wakecast::Phase;

use crate::journal::{News, Who};
use crate::paint::{Paint, Tone, fit};
use crate::record::{Record, Server};
use crate::words;

/// Columns of a name, a bar, and a state; what is left over goes to the note.
const NAME: usize = 11;
const BAR: usize = 18;
const STATE: usize = 14;
/// Below this width the bar is left out.
const ROOM_FOR_BAR: usize = 72;

/// Where everybody is.
#[derive(Debug, Default)]
pub(crate) struct Board {
    people: BTreeMap<Who, Person>,
}

#[derive(Clone, Debug, PartialEq)]
struct Person {
    fraction: f32,
    tone: Tone,
    state: String,
    note: String,
    /// The link is down; the state above is what comes back with it.
    unlinked: bool,
}

impl Board {
    /// Takes news in.
    pub(crate) fn tell(&mut self, who: Who, news: &News) {
        let watcher = who == Who::Watcher;
        let person = self.people.entry(who).or_insert_with(Person::arrived);
        match news {
            News::Asked { .. } if watcher => {
                person.becomes(Tone::Quiet, "watching", "wakes nobody")
            }
            News::Asked { .. } => person.becomes(Tone::Busy, "asked", ""),
            // While nobody else asks for a server, nothing comes nearer.
            News::Waits(wait) if watcher && wait.phase <= Phase::WaitingForCapacity => {}
            News::Waits(wait) => {
                person.fraction = wait.fraction;
                person.becomes(Tone::Busy, words::phase(wait.phase), &words::eta(wait));
            }
            News::Unlinked => person.unlinked = true,
            News::Linked { .. } => person.unlinked = false,
            News::Granted { .. } => {
                person.fraction = 1.0;
                let note = if watcher { "the server is there" } else { "" };
                person.becomes(Tone::Good, "ready", note);
            }
            News::Live => person.becomes(Tone::Good, "live", "sends the stream"),
            News::Playing => person.becomes(Tone::Good, "playing", "receives the stream"),
            News::Draining => person.becomes(Tone::Quiet, "told", "the server drains"),
            News::StreamEnded | News::Released | News::Lost => {
                person.fraction = 0.0;
                person.becomes(Tone::Quiet, "done", "");
            }
            News::Failed(why) => person.becomes(Tone::Bad, "failed", why),
            News::TokenAsked(_) | News::Pong(_) | News::Explained(_) => {}
        }
    }

    /// Draws one line a person and one for the server, none wider than `width`.
    pub(crate) fn draw(
        &self,
        record: &Record,
        elapsed: Duration,
        width: usize,
        paint: Paint,
    ) -> Vec<String> {
        let absent = Person::absent();
        let mut lines = vec![String::new()];
        for who in Who::ALL {
            let person = self.people.get(&who).unwrap_or(&absent);
            lines.push(person.draw(who, width, paint));
        }
        lines.push(server(record, elapsed, width, paint));
        lines
    }
}

impl Person {
    fn absent() -> Self {
        Self {
            fraction: 0.0,
            tone: Tone::Quiet,
            state: "not there yet".to_owned(),
            note: String::new(),
            unlinked: false,
        }
    }

    fn arrived() -> Self {
        Self {
            state: "connecting".to_owned(),
            ..Self::absent()
        }
    }

    fn becomes(&mut self, tone: Tone, state: &str, note: &str) {
        self.tone = tone;
        state.clone_into(&mut self.state);
        note.clone_into(&mut self.note);
    }

    fn draw(&self, who: Who, width: usize, paint: Paint) -> String {
        let (tone, state, note) = if self.unlinked {
            (Tone::Bad, "reconnecting", "the wish goes on")
        } else {
            (self.tone, self.state.as_str(), self.note.as_str())
        };
        let mut line = Line::new(width, paint);
        line.put(Tone::Plain, who.name(), NAME);
        if width >= ROOM_FOR_BAR {
            line.bar(tone, self.fraction);
        }
        line.put(tone, state, STATE);
        line.rest(Tone::Quiet, note);
        line.text
    }
}

fn server(record: &Record, elapsed: Duration, width: usize, paint: Paint) -> String {
    let tone = match record.server {
        Server::Ready => Tone::Good,
        Server::None | Server::Stopped => Tone::Quiet,
        Server::Booting | Server::Draining | Server::Stopping => Tone::Busy,
    };
    let starts = record.launches.len() + record.restarts.len();
    let mut line = Line::new(width, paint);
    line.put(Tone::Plain, "server", NAME);
    if width >= ROOM_FOR_BAR {
        line.put(
            Tone::Quiet,
            &words::count(starts, "launch", "launches"),
            BAR + 2,
        );
    }
    line.put(tone, record.server.name(), STATE);
    let lasts = elapsed.saturating_sub(record.since).as_secs();
    let times = format!("for {lasts} s, {} s in all", elapsed.as_secs());
    line.rest(Tone::Quiet, &times);
    line.text
}

/// One line under construction: what is put last is what a narrow terminal loses first.
struct Line {
    text: String,
    left: usize,
    paint: Paint,
}

impl Line {
    fn new(width: usize, paint: Paint) -> Self {
        let margin = width.min(2);
        Self {
            text: " ".repeat(margin),
            left: width - margin,
            paint,
        }
    }

    fn put(&mut self, tone: Tone, text: &str, columns: usize) {
        let columns = columns.min(self.left);
        self.text += &self.paint.tone(tone, &fit(text, columns));
        self.left -= columns;
    }

    fn rest(&mut self, tone: Tone, text: &str) {
        let columns = text.chars().count();
        self.put(tone, text, columns);
    }

    fn bar(&mut self, tone: Tone, fraction: f32) {
        self.text += &self.paint.bar(tone, fraction, BAR);
        self.text += "  ";
        self.left -= BAR + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Wait;

    const UNCOLOURED: Paint = Paint {
        colours: false,
        signs: true,
    };

    fn booting() -> Board {
        let mut board = Board::default();
        board.tell(Who::Watcher, &News::Asked { id: "w".into() });
        board.tell(Who::Publisher, &News::Asked { id: "p".into() });
        let wait = Wait {
            phase: Phase::Booting,
            eta_p50: Some(Duration::from_secs(6)),
            eta_p90: Some(Duration::from_secs(9)),
            fraction: 0.5,
            overdue: false,
        };
        board.tell(Who::Publisher, &News::Waits(wait));
        board
    }

    fn draw(board: &Board, width: usize) -> Vec<String> {
        let elapsed = Duration::from_millis(8_300);
        board.draw(&Record::default(), elapsed, width, UNCOLOURED)
    }

    #[test]
    fn a_wide_terminal_sees_a_bar_the_phase_and_the_wait() {
        let expected = "
  publisher  ━━━━━━━━━─────────  booting       about 6 s left, seldom over 9 s
  viewer 1   ──────────────────  not there yet\u{20}
  viewer 2   ──────────────────  not there yet\u{20}
  watcher    ──────────────────  watching      wakes nobody
  server     0 launches          none yet      for 8 s, 8 s in all";
        assert_eq!(draw(&booting(), 100).join("\n"), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 0..120 {
            for line in draw(&booting(), width) {
                assert!(line.chars().count() <= width, "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn a_broken_link_shows_until_it_stands_again_and_the_bar_stays() {
        let mut board = booting();
        board.tell(Who::Publisher, &News::Unlinked);
        let cut = draw(&board, 100).swap_remove(1);
        assert!(
            cut.contains("━━━━━━━━━──") && cut.contains("reconnecting"),
            "{cut}"
        );
        let session = "2".to_owned();
        board.tell(Who::Publisher, &News::Linked { session });
        assert!(draw(&board, 100).swap_remove(1).contains("about 6 s left"));
    }
}
