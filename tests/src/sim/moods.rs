//! What a device goes through by itself: pockets, tunnels, sleep; and impatient thumbs.

use std::fmt;
use std::time::Duration;

use wakecast::machine::{Input, StateKind};
use wakecast_lambda::model::Timestamp;

use super::client::Client;
use super::world::Surroundings;

/// How often a mood that waits for a failed client looks.
const GLANCE: Duration = Duration::from_secs(1);
/// A mood that waits for a failed client gives up after this time.
const LONGEST_WAIT: Duration = Duration::from_mins(30);
/// How long after an app is opened its link stands, in most worlds.
const OPENED: Duration = Duration::from_secs(3);

/// One thing that happens to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mood {
    /// Its number among those of its person.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Turn,
    /// How long until it is undone.
    pub lasts: Duration,
    /// A short pause inside of it.
    pub pause: Duration,
}

/// What can happen to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// In the pocket and out again.
    Pocket,
    /// Without a network and back.
    Tunnel,
    /// Another network, twice.
    OtherNetwork,
    /// A jump of the wall clock, twice.
    ClockJump,
    /// Somebody presses the button.
    TryAgain,
    /// Its link is cut.
    Cut,
    /// The app is opened in the background.
    OpenInPocket,
    /// The app is opened, and put into the pocket before it is connected.
    OpenAndPocket,
    /// The app is opened, its link is cut, and into the pocket it goes.
    OpenCutPocket,
    /// Once the client has failed, somebody presses the button and puts it into the pocket.
    RetryInPocket,
    /// Once the client has failed, somebody presses the button.
    RetryWhenFailed,
}

/// Lets a mood happen.
pub async fn befall(around: Surroundings, client: Client, mood: Mood) {
    let clock = &around.clock;
    clock.sleep(clock.true_now().until(mood.at)).await;
    if matches!(mood.what, Turn::RetryInPocket | Turn::RetryWhenFailed)
        && !wait_for_failure(&around, &client).await
    {
        return;
    }
    let say = |what: &str| around.timeline.say(&client.name, format!("({what})"));
    match mood.what {
        Turn::Pocket => {
            say("is put into a pocket");
            client.give(Input::Background);
        }
        Turn::Tunnel => {
            say("enters a tunnel");
            client.give(Input::NetworkDown);
        }
        Turn::OtherNetwork => {
            say("finds another network");
            client.give(Input::NetworkChanged);
        }
        Turn::ClockJump => client.give(Input::ClockJumped),
        Turn::TryAgain => client.give(Input::Connect),
        Turn::Cut => around.network.cut_client(&client.name),
        Turn::OpenInPocket => {
            say("is opened in a pocket");
            client.give(Input::Background);
            client.give(Input::Connect);
        }
        Turn::OpenAndPocket => {
            say("is opened and put into a pocket");
            client.give(Input::Connect);
            clock.sleep(mood.pause).await;
            client.give(Input::Background);
        }
        Turn::OpenCutPocket => {
            client.give(Input::Connect);
            clock.sleep(OPENED).await;
            around.network.cut_client(&client.name);
            clock.sleep(mood.pause).await;
            say("is put into a pocket");
            client.give(Input::Background);
        }
        Turn::RetryInPocket => {
            say("is put into a pocket and tried again");
            client.give(Input::Background);
            clock.sleep(mood.pause).await;
            client.give(Input::Retry);
        }
        Turn::RetryWhenFailed => {
            clock.sleep(mood.pause).await;
            client.give(Input::Retry);
        }
    }
    clock.sleep(mood.lasts).await;
    match mood.what {
        Turn::Pocket
        | Turn::OpenInPocket
        | Turn::OpenAndPocket
        | Turn::OpenCutPocket
        | Turn::RetryInPocket => {
            say("is taken out of the pocket");
            client.give(Input::Foreground);
        }
        Turn::Tunnel => {
            say("leaves the tunnel");
            client.give(Input::NetworkUp);
        }
        Turn::OtherNetwork => client.give(Input::NetworkChanged),
        Turn::ClockJump => client.give(Input::ClockJumped),
        Turn::TryAgain => client.give(Input::Retry),
        Turn::Cut | Turn::RetryWhenFailed => {}
    }
}

/// Waits until the client has failed. Returns whether it has.
async fn wait_for_failure(around: &Surroundings, client: &Client) -> bool {
    let end = around.clock.true_now() + LONGEST_WAIT;
    while around.clock.true_now() < end {
        if client.state().map(|state| state.kind()) == Some(StateKind::Failed) {
            return true;
        }
        around.clock.sleep(GLANCE).await;
    }
    false
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pocket => "is put into a pocket",
            Self::Tunnel => "loses its network",
            Self::OtherNetwork => "changes its network twice",
            Self::ClockJump => "sees the wall clock jump twice",
            Self::TryAgain => "is told to connect, then to retry",
            Self::Cut => "loses its link",
            Self::OpenInPocket => "is opened in a pocket",
            Self::OpenAndPocket => "is opened and put into a pocket at once",
            Self::OpenCutPocket => "is opened, loses its link and is put into a pocket",
            Self::RetryInPocket => "is put into a pocket and tried again once it has failed",
            Self::RetryWhenFailed => "is tried again once it has failed",
        })
    }
}
