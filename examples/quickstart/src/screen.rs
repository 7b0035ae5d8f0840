//! Standard output: lines that stay and, on a terminal, a block below them that is drawn anew.
//!
//! The cursor rests below the block and is never hidden, so that an interrupted run leaves nothing
//! to mend.

use std::io::{self, Write as _};

use console::Term;

use crate::paint::Paint;

/// Assumed where lines are not wrapped by anybody: a pipe or a file.
const PAGE: usize = 100;
/// Longer lines are harder to read, however wide the terminal is.
const WIDEST: usize = 100;
/// The block, a line above it and the prompt below must fit, or moving up would miss its top.
const LEAST_ROWS: usize = 10;

/// Standard output.
pub(crate) struct Screen {
    terminal: Option<Term>,
    pub(crate) paint: Paint,
    block: Vec<String>,
}

impl Screen {
    /// Looks at standard output: what is no terminal, a dumb or a very low one, gets plain lines.
    pub(crate) fn new() -> Self {
        let terminal = Term::stdout();
        let rows = terminal.size_checked().map_or(0, |(rows, _)| rows);
        let able = terminal.is_term() && !console::is_dumb() && usize::from(rows) >= LEAST_ROWS;
        if !able {
            return Self {
                terminal: None,
                paint: Paint::PLAIN,
                block: Vec::new(),
            };
        }
        Self {
            terminal: Some(terminal),
            paint: Paint {
                colours: console::colors_enabled(),
                signs: true,
            },
            block: Vec::new(),
        }
    }

    /// Whether a block is shown at all.
    pub(crate) fn is_live(&self) -> bool {
        self.terminal.is_some()
    }

    pub(crate) fn width(&self) -> usize {
        let columns = self.terminal.as_ref().and_then(Term::size_checked);
        columns.map_or(PAGE, |(_, columns)| usize::from(columns).min(WIDEST))
    }

    /// Writes lines that stay, above the block.
    pub(crate) fn say(&mut self, lines: &[String]) -> io::Result<()> {
        let frame = frame(self.block.len(), lines, &self.block);
        put(&frame)
    }

    /// Draws the block anew if it has changed; a terminal only.
    pub(crate) fn draw(&mut self, block: Vec<String>) -> io::Result<()> {
        if self.terminal.is_none() || block == self.block {
            return Ok(());
        }
        let frame = frame(self.block.len(), &[], &block);
        self.block = block;
        put(&frame)
    }
}

/// One write, so that nothing flickers: back to the block's top, the lines that stay, the block.
fn frame(drawn: usize, lines: &[String], block: &[String]) -> String {
    if drawn == 0 && block.is_empty() {
        return lines.iter().map(|line| line.clone() + "\n").collect();
    }
    // To the first line of what is drawn; each line is cleared behind its text, and what is left
    // of an old, longer block below the last.
    let mut text = match drawn {
        0 => String::new(),
        drawn => format!("\u{1b}[{drawn}A\r"),
    };
    for line in lines.iter().chain(block) {
        text += line;
        text += "\u{1b}[K\n";
    }
    text + "\u{1b}[J"
}

fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines<const N: usize>(lines: [&str; N]) -> Vec<String> {
        lines.map(str::to_owned).to_vec()
    }

    #[test]
    fn without_a_block_there_is_nothing_but_lines() {
        assert_eq!(frame(0, &lines(["a", "b"]), &[]), "a\nb\n");
    }

    #[test]
    fn a_line_that_stays_is_put_above_the_block() {
        assert_eq!(
            frame(2, &lines(["said"]), &lines(["x", "y"])),
            "\u{1b}[2A\rsaid\u{1b}[K\nx\u{1b}[K\ny\u{1b}[K\n\u{1b}[J"
        );
    }

    #[test]
    fn an_empty_block_takes_the_old_one_away() {
        assert_eq!(frame(3, &[], &[]), "\u{1b}[3A\r\u{1b}[J");
    }
}
