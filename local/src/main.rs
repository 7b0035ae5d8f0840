//! `wakecast-local`: the whole cloud on this machine, until Ctrl-C.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use wakecast_lambda::config::Counts;
use wakecast_lambda::decisions::{DecisionLog, JsonLines};
use wakecast_local::cloud::APP;
use wakecast_local::media::{AppConfig, BootTimeline, Edition, MediaConfig, MediaProcess, WebRtc};
use wakecast_local::real::RealServer;
use wakecast_local::{LocalCloud, LocalConfig, Profile, TokenRequest};

mod arguments;
mod greeting;
mod secrets;

use arguments::{Arguments, Carrying, Command, MediaArguments};
use secrets::SecretError;

/// What a command line that cannot be read ends with, as shells expect.
const USAGE: u8 = 2;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Command::parse(std::env::args().skip(1)) {
        Ok(Command::Help(text)) => {
            print(text);
            Ok(())
        }
        Ok(Command::Serve(arguments)) => serve(arguments).await,
        Ok(Command::Media(arguments)) => serve_media(arguments).await,
        Err(error) => {
            eprintln!("wakecast-local: {error}\nTry `wakecast-local --help`.");
            return ExitCode::from(USAGE);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wakecast-local: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: Arguments) -> Result<(), Failure> {
    // Silent unless asked: `RUST_LOG=info` shows each decision of the reconciler.
    log();
    let mut config = LocalConfig::profile(arguments.profile);
    config.port = arguments.port;
    config.vendor_sdk = arguments.vendor_sdk;
    if let Some(life) = arguments.token_life {
        config.token_life = life;
    }
    config.links.open = arguments.links;
    config.decision_log = decision_log(&arguments)?;
    config.media_server = real_server(&arguments)?;
    if config.media_server.is_none() {
        config.webrtc = webrtc(arguments.carrying)?;
    }
    let carried = config.webrtc;
    let cloud = LocalCloud::start(config).await?;
    let token = cloud.token(&TokenRequest::new("developer"))?;
    let media = arguments.media_server.as_ref();
    print(&greeting::text(
        &cloud,
        &token,
        media,
        carried,
        arguments.profile,
        styled(),
    ));
    tokio::signal::ctrl_c().await?;
    cloud.stop().await;
    print(goodbye());
    Ok(())
}

fn decision_log(arguments: &Arguments) -> Result<Option<Arc<dyn DecisionLog>>, Failure> {
    let Some(path) = &arguments.decision_log else {
        return Ok(None);
    };
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| format!("--decision-log {}: {error}", path.display()))?;
    Ok(Some(Arc::new(JsonLines::new(file))))
}

fn real_server(arguments: &Arguments) -> Result<Option<RealServer>, Failure> {
    let Some(url) = arguments.media_server.clone() else {
        return Ok(None);
    };
    let media = &arguments.media;
    let server_secret = secrets::SERVER.read(media.secret_file.as_deref())?;
    let app = media.app.as_deref().or(url.app()).unwrap_or(APP).to_owned();
    Ok(Some(RealServer {
        url,
        app,
        server_secret: server_secret.ok_or(SecretError::None)?,
        stream_secret: secrets::STREAM.read(media.stream_secret_file.as_deref())?,
        setting: arguments.setting.clone(),
        counts: match media.edition {
            Some(Edition::Community) => Counts::COMMUNITY,
            Some(Edition::Enterprise) | None => Counts::ENTERPRISE,
        },
    }))
}

/// Media is carried wherever it was built; on another address than loopback only if asked for.
fn webrtc(carrying: Carrying) -> Result<Option<WebRtc>, Failure> {
    match carrying {
        Carrying::Nothing => Ok(None),
        Carrying::Loopback => Ok(WebRtc::AVAILABLE.then_some(WebRtc::LOOPBACK)),
        Carrying::On(address) if WebRtc::AVAILABLE => Ok(Some(WebRtc::on(address))),
        Carrying::On(_) => Err(
            "--media-address: this program was built without the feature \
                                `media`; build it with its default features, or say none"
                .into(),
        ),
    }
}

async fn serve_media(arguments: MediaArguments) -> Result<(), Failure> {
    log();
    let media = &arguments.media;
    let name = media.app.as_deref().unwrap_or(APP);
    let mut app = AppConfig::new(name);
    if let Some(secret) = secrets::STREAM.read(media.stream_secret_file.as_deref())? {
        app = app.with_stream_tokens(secret.expose());
    }
    let edition = media.edition.unwrap_or(Edition::Enterprise);
    let mut config = match edition {
        Edition::Enterprise => MediaConfig::enterprise(),
        Edition::Community => MediaConfig::community(),
    }
    .with_apps([app]);
    config = config.with_boot(match arguments.profile {
        Profile::Default => BootTimeline::OBSERVED,
        Profile::Demonstration => BootTimeline::DEMONSTRATION,
        Profile::Test => BootTimeline::QUICK,
    });
    let server_secret = secrets::SERVER.read(media.secret_file.as_deref())?;
    if let Some(secret) = &server_secret {
        config = config.with_server_secret(secret.expose());
    }
    if edition == Edition::Enterprise {
        config.webrtc = webrtc(arguments.carrying)?;
    }
    let carried = config.webrtc;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let process = MediaProcess::start(config, address)
        .await
        .map_err(|error| {
            format!(
                "cannot listen on {address}: {error}; choose another --port, or 0 for a free one"
            )
        })?;
    let control = server_secret.is_some();
    let greeting = greeting::media(process.address(), name, edition, carried, control, styled());
    print(&greeting);
    process
        .wait_for(|status| !status.ready_apps.is_empty())
        .await;
    print("  ready\n");
    tokio::signal::ctrl_c().await?;
    process.stop().await;
    print(goodbye());
    Ok(())
}

fn log() {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
}

fn styled() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn goodbye() -> &'static str {
    if styled() {
        "\n\x1b[2mstopped\x1b[0m\n"
    } else {
        "stopped\n"
    }
}

/// Prints and lets a closed pipe be.
fn print(text: &str) {
    let mut output = std::io::stdout();
    let _ = output.write_all(text.as_bytes());
    let _ = output.flush();
}
