//! The run itself: gives the cues, listens to everybody, and tells what happens.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::board::Board;
use crate::claims::{self, LIMIT, asked_for};
use crate::cloud::Cloud;
use crate::cues::Cue;
use crate::journal::{Entry, Journal, Who};
use crate::narration::{self, Line};
use crate::people::{self, Reporter};
use crate::record::Record;
use crate::report;
use crate::screen::Screen;
use crate::timeline;

/// How often the cloud is looked at and the block is drawn: calm, and no number stands still.
const LOOK: Duration = Duration::from_millis(100);
/// What the last words to the clients may take once the server has stopped.
const FAREWELL: Duration = Duration::from_secs(3);

/// Runs the story and prints it. Returns whether every claim held.
pub(crate) async fn run(screen: &mut Screen) -> Result<bool, String> {
    let begun = Instant::now();
    screen
        .say(&narration::title(screen.paint))
        .map_err(unwritable)?;
    let cloud = Cloud::start().await?;
    let mut story = Story::new(begun, cloud);
    let told = story.play(screen).await;
    // Also when the output is gone: a run that ends leaves nothing behind.
    story.people.shutdown().await;
    story.cloud.stop().await;
    told.map_err(unwritable)
}

struct Story {
    begun: Instant,
    cloud: Cloud,
    people: JoinSet<()>,
    reports: mpsc::UnboundedSender<Entry>,
    news: mpsc::UnboundedReceiver<Entry>,
    end_stream: watch::Sender<bool>,
    given: BTreeSet<Cue>,
    journal: Journal,
    record: Record,
    /// As far as the record was told.
    told: Record,
    board: Board,
}

impl Story {
    fn new(begun: Instant, cloud: Cloud) -> Self {
        let (reports, news) = mpsc::unbounded_channel();
        Self {
            begun,
            cloud,
            people: JoinSet::new(),
            reports,
            news,
            end_stream: watch::Sender::new(false),
            given: BTreeSet::new(),
            journal: Journal::default(),
            record: Record::default(),
            told: Record::default(),
            board: Board::default(),
        }
    }

    async fn play(&mut self, screen: &mut Screen) -> io::Result<bool> {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.comes(Who::Watcher);
        while !self.is_over() {
            tokio::select! {
                // What happened in the cloud before is told before.
                Some(entry) = self.news.recv() => {
                    self.look(screen)?;
                    self.hear(screen, entry)?;
                }
                _ = looks.tick() => self.look(screen)?,
            }
            self.give_cues().await;
            self.draw(screen)?;
        }
        let took = self.begun.elapsed();
        screen.draw(Vec::new())?;
        self.report(screen, took)
    }

    /// Everybody went home after the stop, somebody could not go on, or the time is up.
    fn is_over(&self) -> bool {
        let now = self.begun.elapsed();
        let stopped = self.record.stopped;
        now >= LIMIT
            || self.journal.failures().next().is_some()
            || stopped.is_some_and(|at| {
                (self.people.is_empty() && self.news.is_empty()) || now >= at + FAREWELL
            })
    }

    fn hear(&mut self, screen: &mut Screen, entry: Entry) -> io::Result<()> {
        self.board.tell(entry.who, &entry.news);
        let line = narration::of_news(&entry, &self.journal, !screen.is_live());
        self.journal.add(entry);
        say(screen, line)
    }

    fn look(&mut self, screen: &mut Screen) -> io::Result<()> {
        while self.people.try_join_next().is_some() {}
        self.cloud.look(&mut self.record);
        let publishers = asked_for(&self.journal, Who::Publisher);
        for line in narration::of_record(&self.told, &self.record, publishers) {
            say(screen, Some(line))?;
        }
        self.told.clone_from(&self.record);
        Ok(())
    }

    async fn give_cues(&mut self) {
        for cue in Cue::ALL {
            let now = self.begun.elapsed();
            if self.given.contains(&cue) || !cue.is_due(&self.journal, &self.record, now) {
                continue;
            }
            self.given.insert(cue);
            match cue {
                Cue::PublisherComes => self.comes(Who::Publisher),
                Cue::FirstViewerComes => self.comes(Who::FirstViewer),
                Cue::SecondViewerComes => self.comes(Who::SecondViewer),
                Cue::Cut => {
                    self.record.cut = Some(now);
                    self.cloud.cut(Who::Publisher).await;
                }
                Cue::StreamEnds => {
                    self.end_stream.send_replace(true);
                }
            }
        }
    }

    fn comes(&mut self, who: Who) {
        let pass = self.cloud.pass(who);
        let reporter = Reporter {
            who,
            begun: self.begun,
            news: self.reports.clone(),
        };
        match who {
            Who::Publisher => {
                let end = self.end_stream.subscribe();
                self.people.spawn(people::publisher(pass, reporter, end))
            }
            Who::FirstViewer | Who::SecondViewer => {
                self.people.spawn(people::viewer(pass, reporter))
            }
            Who::Watcher => self.people.spawn(people::watcher(pass, reporter)),
        };
    }

    fn draw(&self, screen: &mut Screen) -> io::Result<()> {
        if !screen.is_live() {
            return Ok(());
        }
        let (width, paint) = (screen.width(), screen.paint);
        let block = self
            .board
            .draw(&self.record, self.begun.elapsed(), width, paint);
        screen.draw(block)
    }

    fn report(&self, screen: &mut Screen, took: Duration) -> io::Result<bool> {
        let (width, paint) = (screen.width(), screen.paint);
        let stretches = timeline::stretches(&self.journal, &self.record);
        screen.say(&report::timeline(&stretches, width, paint))?;
        let claims = claims::judge(&self.journal, &self.record, took);
        screen.say(&report::claims(&claims, paint))?;
        if let Some(up) = self.record.up() {
            screen.say(&report::bill(up, paint))?;
        }
        screen.say(&[String::new()])?;
        Ok(claims.iter().all(|claim| claim.verdict.is_ok()))
    }
}

fn say(screen: &mut Screen, line: Option<Line>) -> io::Result<()> {
    match line {
        Some(line) => screen.say(&[line.paint(screen.paint)]),
        None => Ok(()),
    }
}

fn unwritable(error: io::Error) -> String {
    format!("the output cannot be written: {error}")
}
