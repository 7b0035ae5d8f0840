//! The few colours and signs of the output, and how they fall back.

use console::Style;

/// What a piece of text is, not how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Title,
    Quiet,
    Busy,
    Good,
    Bad,
}

/// How text is written: in colours or not, with signs beyond ASCII or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    pub(crate) colours: bool,
    pub(crate) signs: bool,
}

impl Paint {
    /// For a pipe or a file: ASCII, and not one escape character.
    pub(crate) const PLAIN: Self = Self {
        colours: false,
        signs: false,
    };

    pub(crate) fn tone(self, tone: Tone, text: &str) -> String {
        if !self.colours || text.is_empty() {
            return text.to_owned();
        }
        let style = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Title => Style::new().bold(),
            Tone::Quiet => Style::new().dim(),
            Tone::Busy => Style::new().cyan(),
            Tone::Good => Style::new().green(),
            Tone::Bad => Style::new().red().bold(),
        };
        // Whether colours are wanted was asked once, at the start.
        style.force_styling(true).apply_to(text).to_string()
    }

    /// A bar of `width` columns, of which `fraction` is done.
    pub(crate) fn bar(self, tone: Tone, fraction: f32, width: usize) -> String {
        let done = (fraction.clamp(0.0, 1.0) * width as f32).round() as usize;
        let done = done.min(width);
        let (full, empty) = if self.signs {
            ("━", "─")
        } else {
            ("=", "-")
        };
        let rest = empty.repeat(width - done);
        self.tone(tone, &full.repeat(done)) + &self.tone(Tone::Quiet, &rest)
    }

    pub(crate) fn verdict(self, held: bool) -> String {
        match (held, self.signs) {
            (true, true) => self.tone(Tone::Good, "✓"),
            (false, true) => self.tone(Tone::Bad, "✗"),
            (true, false) => self.tone(Tone::Good, "ok    "),
            (false, false) => self.tone(Tone::Bad, "FAILED"),
        }
    }
}

/// `text` in exactly `width` columns; too long a text ends in `...`. All texts here are ASCII.
pub(crate) fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return format!("{text:<width$}");
    }
    let kept = width.saturating_sub(3);
    let dots = ".".repeat(width - kept);
    text.chars().take(kept).collect::<String>() + &dots
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOURED: Paint = Paint {
        colours: true,
        signs: true,
    };

    #[test]
    fn plain_text_is_ascii_without_escapes() {
        let all = [
            Paint::PLAIN.tone(Tone::Bad, "x"),
            Paint::PLAIN.bar(Tone::Busy, 0.5, 4),
            Paint::PLAIN.verdict(true),
            Paint::PLAIN.verdict(false),
        ];
        assert_eq!(all, ["x", "==--", "ok    ", "FAILED"]);
    }

    #[test]
    fn colours_end_where_they_began() {
        let painted = COLOURED.tone(Tone::Good, "x");
        assert!(painted.starts_with("\u{1b}[32m") && painted.ends_with("\u{1b}[0m"));
        assert_eq!(COLOURED.tone(Tone::Plain, "x"), "x");
    }

    #[test]
    fn a_bar_keeps_its_width_for_any_fraction() {
        let uncoloured = Paint {
            colours: false,
            signs: true,
        };
        for fraction in [-1.0, 0.0, 0.34, 1.0, 7.0, f32::NAN] {
            assert_eq!(uncoloured.bar(Tone::Busy, fraction, 9).chars().count(), 9);
        }
        assert_eq!(uncoloured.bar(Tone::Busy, 0.5, 4), "━━──");
    }

    #[test]
    fn a_text_fits_any_width() {
        assert_eq!(fit("booting", 9), "booting  ");
        assert_eq!(fit("publisher", 6), "pub...");
        assert_eq!(fit("publisher", 2), "..");
        assert_eq!(fit("publisher", 0), "");
    }
}
