//! What the judge is told: plain facts, each as it happened, in the order of the world's one clock.

/// Milliseconds on the world's own clock, whatever the clocks of its parts show.
pub type Moment = u64;

/// What the operator set and the design promises, in milliseconds.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Servers that may live at once.
    pub max: usize,
    /// Servers that are kept with nobody there.
    pub min: usize,
    /// Starts of any kind within an hour.
    pub starts_per_hour: usize,
    /// New servers within an hour.
    pub launches_per_hour: usize,
    /// Starts of any kind within ten minutes that one subject pays for.
    pub subject_starts: usize,
    /// Zeros before a drain.
    pub grace: u64,
    /// A server serves at least this long.
    pub min_up: u64,
    /// The life of a stream token.
    pub stream_token: u64,
    /// How long a granted publisher is awaited.
    pub protect_publish: u64,
    /// How long a granted player is awaited.
    pub protect_play: u64,
    /// Whoever is without a link for this long neither waits nor protects.
    pub absence: u64,
    /// The longest boot of a new server.
    pub boot: u64,
    /// The schedule of the reconciler.
    pub tick: u64,
    /// The life of its lock.
    pub lock: u64,
    /// How far two clocks of the cloud are apart at most.
    pub clocks_apart: u64,
}

/// What somebody came for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To publish.
    Publish,
    /// To play.
    Play,
    /// To see what others do: it wakes and keeps nothing.
    Watch,
}

/// What the table holds of one ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It waits, until then at most.
    Waits {
        /// Its deadline.
        until: Moment,
    },
    /// It was given a boot of a server.
    Holds {
        /// The server.
        server: String,
        /// Its boot.
        boot: u64,
    },
    /// It has ended.
    Over,
}

/// What truly goes on in a media server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Streams that are published, those just starting included.
    pub streams: u64,
    /// Viewers.
    pub viewers: u64,
    /// The app answers.
    pub up: bool,
    /// The app's settings are what they were set to.
    pub sound: bool,
    /// Somebody touched the app before it had started, in the first life of the process.
    pub touched_early: bool,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// EC2 made a new server.
    Launched(String),
    /// EC2 accepted the start of a stopped server.
    Started {
        /// The server.
        server: String,
        /// The call was ours, not another hand's.
        ours: bool,
    },
    /// A server runs.
    Runs(String),
    /// EC2 accepted a stop.
    StopAccepted {
        /// Of this server.
        server: String,
        /// The call was ours, not another hand's.
        ours: bool,
    },
    /// A server stands still.
    Stopped(String),
    /// A server is gone for good.
    Terminated(String),
    /// The fleet's address was put on a server or taken off.
    Address {
        /// The server.
        server: String,
        /// On.
        on: bool,
        /// By a call of ours.
        ours: bool,
    },
    /// Another hand has put this running server into the fleet.
    Stranger(String),
    /// The operator holds a server, or no more.
    Hold {
        /// The server.
        server: String,
        /// Held.
        on: bool,
    },

    /// One of our processes asked EC2 what there is.
    Described {
        /// The process.
        by: u64,
        /// EC2 answered …
        readable: bool,
        /// … as of then.
        as_of: Moment,
    },
    /// A call that changes something leaves for EC2.
    PowerCall {
        /// The process that sends it.
        by: u64,
        /// Its name.
        call: &'static str,
    },
    /// A stop call was not answered, or refused.
    StopFailed,
    /// A process of the reconciler has got an answer to who asks.
    Read {
        /// The answer is as of then.
        began: Moment,
    },
    /// A process of the reconciler has written what it decided.
    Wrote {
        /// The process.
        by: u64,
    },
    /// A run of the reconciler has used up its time.
    RanOut,

    /// What truly goes on in a running media server.
    Media {
        /// The server.
        server: String,
        /// What goes on.
        media: Media,
    },
    /// A media server goes down with its box; this is who was there.
    Halted {
        /// The server.
        server: String,
        /// Streams.
        streams: u64,
        /// Viewers.
        viewers: u64,
    },
    /// A media server was asked for its load.
    Reported {
        /// The process that asked.
        by: u64,
        /// The server.
        server: String,
        /// When the question was sent.
        began: Moment,
        /// Streams and viewers; none if that could not be read.
        counts: Option<(u64, u64)>,
    },

    /// The fleet says that it grants a server's boot.
    Opened {
        /// The server.
        server: String,
        /// The boot.
        boot: u64,
        /// Since when, in its own words.
        since: Moment,
    },
    /// The fleet says that a server which restarted by itself must prove itself again.
    Proving(String),
    /// The fleet has committed itself to a stop: who was on record by now must be looked at.
    Closing {
        /// The server.
        server: String,
        /// An earlier stop of this boot may have been lost.
        again: bool,
    },

    /// The fleet has committed itself to a start, for those who wait now.
    Intended,

    /// The table took an ask, or a change of one.
    Recorded {
        /// Its id.
        lease: String,
        /// Whose it is.
        subject: String,
        /// What it is for; none where only its end is known.
        purpose: Option<Purpose>,
        /// What it is now.
        standing: Standing,
        /// Since when it has no link.
        gone_since: Option<Moment>,
    },

    /// An app asked its client for something.
    Asked {
        /// The client.
        who: String,
        /// The app's own number of the question.
        key: u64,
        /// When it must be answered at the latest.
        until: Moment,
    },
    /// The client gave its one answer.
    Answered {
        /// The client.
        who: String,
        /// The number.
        key: u64,
    },
    /// An endpoint has arrived at a client.
    Promised {
        /// The client.
        who: String,
        /// The lease.
        lease: String,
        /// The server that the endpoint leads to at this moment.
        server: Option<String>,
        /// When its stream token ends.
        token_until: Moment,
    },
    /// A client found nothing at an endpoint that it was handed just before.
    Unreachable {
        /// The client.
        who: String,
        /// The lease.
        lease: String,
        /// The server that the endpoint leads to at this moment.
        server: Option<String>,
    },
    /// What a client published or played was cut.
    Cut {
        /// The client.
        who: String,
        /// The server.
        server: String,
    },
    /// A client was told that a lease is lost.
    Lost {
        /// The client.
        who: String,
        /// The lease.
        lease: String,
    },
    /// A client's app gave something up, or everything.
    Left {
        /// The client.
        who: String,
        /// The lease; none for everything.
        lease: Option<String>,
    },
    /// A client lost a link, or gave one up.
    LinkEnded {
        /// The client.
        who: String,
    },
    /// A client's process was killed.
    Killed {
        /// The client.
        who: String,
    },

    /// The world itself cuts, hides or kills servers until then: a dead endpoint proves nothing.
    Excused {
        /// Until then.
        until: Moment,
    },
    /// The table refuses most row writes, or no more.
    RowsRefused(bool),
    /// A run of the reconciler crashed, failed or lost its lock.
    Crashed,
    /// A call failed or was held up, or a wake was lost.
    Hindered,
}
