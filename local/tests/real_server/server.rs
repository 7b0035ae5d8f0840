//! The media stand-in as a separate process, and what the cloud has to know of it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use wakecast::Secret;
use wakecast_lambda::config::Counts;
use wakecast_local::real::{RealServer, ServerUrl};

use crate::process::Served;

/// Nothing that is printed or logged may hold one of these.
pub(crate) const SERVER_SECRET: &str = "canary-of-the-server-0123456789abcdef";
pub(crate) const STREAM_SECRET: &str = "canary-of-the-streams-0123456789abcdef";

/// A file that is gone with its owner.
pub(crate) struct SecretFile(PathBuf);

impl SecretFile {
    pub(crate) fn holding(secret: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "wakecast-{}-{}.secret",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        // As an editor leaves it.
        std::fs::write(&path, format!("{secret}\n")).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A stand-in that has booted.
pub(crate) struct Server {
    process: Served,
    pub(crate) url: String,
}

impl Server {
    /// Takes stream tokens, and calls of its REST interface with the server's secret.
    pub(crate) fn guarded() -> Self {
        let server = SecretFile::holding(SERVER_SECRET);
        let stream = SecretFile::holding(STREAM_SECRET);
        Self::start(&[
            "--media-secret-file",
            server.path(),
            "--media-stream-secret-file",
            stream.path(),
        ])
    }

    pub(crate) fn start(options: &[&str]) -> Self {
        let mut arguments = vec!["media", "--port", "0", "--profile", "demonstration"];
        // Its clients here speak the signalling alone.
        arguments.extend(["--media-address", "none"]);
        arguments.extend(options);
        let mut process = Served::start(&arguments);
        let url = process.line("server");
        process.line("ready");
        Self { process, url }
    }

    /// What the cloud is told of a [`guarded`](Self::guarded) one.
    pub(crate) fn described(&self) -> RealServer {
        RealServer {
            url: ServerUrl::parse(&self.url).unwrap(),
            app: "live".to_owned(),
            server_secret: Secret::new(SERVER_SECRET),
            stream_secret: Some(Secret::new(STREAM_SECRET)),
            setting: None,
            counts: Counts::ENTERPRISE,
        }
    }

    pub(crate) fn stop(self) {
        let (code, rest) = self.process.interrupt();
        assert_eq!(code, 0);
        assert!(rest.ends_with("stopped\n"), "{rest}");
    }
}
