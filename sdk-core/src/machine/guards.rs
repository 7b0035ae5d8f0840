//! The guards of the client: rules that a test can turn off one at a time.
//!
//! Where a rule is kept it asks [`Guards::on`]. Without the feature `ablation` the answer is always
//! yes, [`Guards`] has no size, and nothing can turn one off.

/// One guard. Its comment says which harm it prevents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// A transport's callback counts only under its own epoch: without it, the late close of an old
    /// link ends the new one, and links pile up.
    Epoch,
    /// A token answer counts only for the question that is open: without it, the late answer to one
    /// that was given up displaces a newer token.
    Generation,
    /// What the server says of a row counts only if it is not older than what is known: without it,
    /// a push that was overtaken shows the app a state that is over.
    Rev,
    /// The backoff starts anew only after a link that held for 30 s and answered once: without it,
    /// a server that accepts and closes at once is met by a storm.
    BackoffReset,
}

impl Guard {
    /// Every guard.
    pub const ALL: [Self; 4] = [Self::Epoch, Self::Generation, Self::Rev, Self::BackoffReset];

    /// Names it in the words of a test: `without_<name>_…`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Epoch => "epoch",
            Self::Generation => "generation",
            Self::Rev => "rev",
            Self::BackoffReset => "backoff_reset",
        }
    }
}

/// Which guards are on: all of them, unless a test with the feature `ablation` says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// One bit for each guard that is off.
    #[cfg(feature = "ablation")]
    off: u8,
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
    pub const fn on(self, guard: Guard) -> bool {
        self.off & bit(guard) == 0
    }

    /// Tells whether a guard is on: always.
    #[cfg(not(feature = "ablation"))]
    pub const fn on(self, _guard: Guard) -> bool {
        true
    }
}

impl Guards {
    /// Tells whether what came with `rev` is as new as what is known.
    pub(super) const fn is_news(self, rev: u64, known: u64) -> bool {
        rev >= known || !self.on(Guard::Rev)
    }
}

#[cfg(feature = "ablation")]
const fn bit(guard: Guard) -> u8 {
    1 << guard as u8
}
