//! `wakecast-local`: the whole cloud on this machine, until Ctrl-C.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use wakecast_lambda::decisions::JsonLines;
use wakecast_local::{LocalCloud, LocalConfig, Profile, TokenRequest};

mod arguments;
mod greeting;

use arguments::{Arguments, Command};

/// What a command line that cannot be read ends with, as shells expect.
const USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    match Command::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            print(arguments::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Serve(arguments)) => serve(arguments).await,
        Err(error) => {
            eprintln!("wakecast-local: {error}\nTry `wakecast-local --help`.");
            ExitCode::from(USAGE)
        }
    }
}

async fn serve(arguments: Arguments) -> ExitCode {
    // Silent unless asked: `RUST_LOG=info` shows each decision of the reconciler.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let mut config = LocalConfig::profile(arguments.profile);
    config.port = arguments.port;
    if let Some(life) = arguments.token_life {
        config.token_life = life;
    }
    if let Some(path) = &arguments.decision_log {
        match File::options().create(true).append(true).open(path) {
            Ok(file) => config.decision_log = Some(Arc::new(JsonLines::new(file))),
            Err(error) => {
                eprintln!("wakecast-local: {}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    let cloud = match LocalCloud::start(config).await {
        Ok(cloud) => cloud,
        Err(error) => return failed(&error),
    };
    let token = match cloud.token(&TokenRequest::new("developer")) {
        Ok(token) => token,
        Err(error) => return failed(&error),
    };
    let styled = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let short = arguments.profile == Profile::Demonstration;
    print(&greeting::text(&cloud, &token, short, styled));
    if let Err(error) = tokio::signal::ctrl_c().await {
        return failed(&error);
    }
    cloud.stop().await;
    print(if styled {
        "\n\x1b[2mstopped\x1b[0m\n"
    } else {
        "stopped\n"
    });
    ExitCode::SUCCESS
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("wakecast-local: {error}");
    ExitCode::FAILURE
}

/// Prints and lets a closed pipe be.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
