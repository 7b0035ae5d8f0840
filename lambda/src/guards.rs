//! The guards: rules without which a law breaks, each of which a test can turn off.
//!
//! A rule is enforced where it belongs; there it asks [`Guards::on`]. Without the feature
//! `ablation` the answer is always yes, [`Guards`] has no size, and nothing can turn one off.

/// One guard. Its comment says which harm it prevents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// A spent cap refuses starts: without it, a server that keeps dying, or a flood of asks, is
    /// launched without end and without limit to the bill.
    Cap,
    /// An intent is committed before EC2 is called: without it, a crash forgets a launch that EC2
    /// accepted, and the next run launches a second instance.
    Intent,
    /// The attempt rises only after a definite refusal: without it, a lost reply leads to another
    /// token, which EC2 takes for another instance.
    Attempt,
    /// A drain waits until the last stream token has ended: without it, whoever was handed one in
    /// time finds a stopped server, or is cut.
    Settle,
    /// Two last looks at the media server come between the settle and the stop: without them, what
    /// was begun while it drained is cut.
    LastLook,
    /// The rows are read again after S2 is committed (S3): without it, a waiter that came in
    /// between is stopped away from under.
    SecondRead,
    /// Only the lock's owner, under its own fence, commits: without it, a holder that slept past its
    /// lock overwrites what the next one has decided. [`Guard::StateVersion`] says the same in other
    /// words, and covers it.
    LockOwner,
    /// A commit replaces only the state that it was decided on: without it, what was decided on an
    /// old state overwrites a newer one. [`Guard::LockOwner`] covers it.
    StateVersion,
    /// A power call needs time left on the lock: without it, a holder that slept past its lock
    /// stops a server which the next one has given to somebody.
    LockTime,
    /// A fresh lease protects its instance: without it, a server is stopped while its holder is
    /// still choosing a camera.
    LeaseProtection,
    /// What cannot be read counts as busy: without it, a media server that does not answer for a
    /// while is stopped under its streams.
    UnknownIsBusy,
    /// G2 compares the boot, not just the instance: without it, a row of an earlier boot is handed
    /// an endpoint that nothing protects.
    BootId,
    /// The lock is let go only if no demand has risen: without it, whoever asks while the last round
    /// ends waits for the tick.
    DemandCheck,
    /// Links are ordered by `connectedAt`: without it, a late message of an older link takes a row
    /// from the newer one, and its owner hears nothing more.
    ConnectedAt,
    /// Only root paths are touched until the app is listed: without it, our own probe resets the
    /// app's settings, its security settings among them.
    RootOnly,
}

impl Guard {
    /// Every guard.
    pub const ALL: [Self; 15] = [
        Self::Cap,
        Self::Intent,
        Self::Attempt,
        Self::Settle,
        Self::LastLook,
        Self::SecondRead,
        Self::LockOwner,
        Self::StateVersion,
        Self::LockTime,
        Self::LeaseProtection,
        Self::UnknownIsBusy,
        Self::BootId,
        Self::DemandCheck,
        Self::ConnectedAt,
        Self::RootOnly,
    ];

    /// Names it in the words of a test: `without_<name>_…`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::Intent => "intent",
            Self::Attempt => "attempt",
            Self::Settle => "settle",
            Self::LastLook => "last_look",
            Self::SecondRead => "second_read",
            Self::LockOwner => "lock_owner",
            Self::StateVersion => "state_version",
            Self::LockTime => "lock_time",
            Self::LeaseProtection => "lease_protection",
            Self::UnknownIsBusy => "unknown_is_busy",
            Self::BootId => "boot_id",
            Self::DemandCheck => "demand_check",
            Self::ConnectedAt => "connected_at",
            Self::RootOnly => "root_only",
        }
    }
}

/// Which guards are on: all of them, unless a test with the feature `ablation` says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// One bit for each guard that is off.
    #[cfg(feature = "ablation")]
    off: u32,
}

impl Guards {
    /// All guards.
    pub const ALL: Self = Self {
        #[cfg(feature = "ablation")]
        off: 0,
    };

    /// Returns these guards without one of them.
    #[cfg(feature = "ablation")]
    #[must_use]
    pub const fn without(self, guard: Guard) -> Self {
        Self {
            off: self.off | bit(guard),
        }
    }

    /// Tells whether a guard is on.
    #[cfg(feature = "ablation")]
    #[must_use]
    pub const fn on(self, guard: Guard) -> bool {
        self.off & bit(guard) == 0
    }

    /// Tells whether a guard is on: always.
    #[cfg(not(feature = "ablation"))]
    #[must_use]
    pub const fn on(self, _guard: Guard) -> bool {
        true
    }
}

#[cfg(feature = "ablation")]
const fn bit(guard: Guard) -> u32 {
    1 << guard as u32
}
