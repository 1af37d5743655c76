//! What the user sees: results on stdout; progress, notes and errors on stderr; colours and bars on terminals only.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// For errors, and for what is wrong.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// For warnings.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// For what is right.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// For headings.
pub const HEADING: Style = Style::new().bold();
/// For what is less important.
pub const DIM: Style = Style::new().dimmed();

/// Where and how to speak.
#[derive(Debug)]
pub struct Ui {
    /// One JSON object on stdout and nothing else there.
    pub json: bool,
    /// No progress, no notes.
    pub quiet: bool,
    /// Stdout takes colours.
    pub color: bool,
    /// Stdout is a terminal that shows block characters.
    pub unicode: bool,
    /// Columns of stdout; 80 where it is not a terminal.
    pub width: usize,
}

impl Ui {
    /// Looks at the terminal and the environment.
    pub fn new(json: bool, quiet: bool) -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let width = terminal_size::terminal_size_of(&stdout).map_or(80, |(w, _)| usize::from(w.0));
        let color = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
        Self { json, quiet, color, unicode: terminal && is_utf8(), width }
    }

    /// Prints the answer of a command: as JSON, or as text, in which lines that are wanted end with a newline.
    pub fn answer(&self, json: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        if self.json {
            let text = serde_json::to_string(json)?;
            writeln!(io::stdout(), "{text}")?;
            Ok(())
        } else {
            self.print(&text())
        }
    }

    /// Prints text on stdout; nothing where JSON is wanted. Unlike `print!` it does not panic if the reader has gone.
    pub fn print(&self, text: &str) -> anyhow::Result<()> {
        if !self.json {
            let mut out = anstream::stdout();
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
        Ok(())
    }

    /// Says on stderr what is being done.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            anstream::eprintln!("{text}");
        }
    }

    /// Prints a line of a board's log on stderr: it was asked for, so also where notes are not wanted.
    pub fn log(&self, line: &str) {
        anstream::eprintln!("{line}");
    }

    /// Says on stderr what the user should know, even where notes are not wanted.
    pub fn warn(&self, text: &str) {
        anstream::eprintln!("{WARNING}warning:{WARNING:#} {text}");
    }

    /// Shows that `what` goes on, until the meter is dropped: a bar on a terminal, else one line now. A total of 0
    /// stands for one that is not known.
    pub fn meter(&self, what: &str, total: u64) -> Meter {
        if self.quiet || self.json {
            return Meter(None);
        }
        if !io::stderr().is_terminal() {
            match total {
                0 => self.note(&format!("{what} ...")),
                _ => self.note(&format!("{what} ({total}) ...")),
            }
            return Meter(None);
        }
        let bar = if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
        let template = match (total, self.unicode) {
            (0, _) => "  {spinner} {msg}",
            (_, true) => "  {msg:28} {bar:32.green} {pos}/{len}",
            (_, false) => "  {msg:28} [{bar:32}] {pos}/{len}",
        };
        // The templates are constants; the default is what is left if one were wrong.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars(if self.unicode { "█▉▊▋▌▍▎▏ " } else { "=> " }));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Meter(Some(bar))
    }
}

/// The text encoding of the terminal, as POSIX has it; terminals of Windows show Unicode.
fn is_utf8() -> bool {
    if cfg!(windows) {
        return true;
    }
    let set = |name: &&str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let value = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find(|n| set(n)).and_then(std::env::var_os);
    value.is_some_and(|v| {
        let v = v.to_string_lossy().to_ascii_lowercase();
        v.contains("utf-8") || v.contains("utf8")
    })
}

/// Shows how far something is. Gone when dropped.
#[derive(Debug)]
pub struct Meter(Option<ProgressBar>);

impl Meter {
    /// What goes on now, in place of what was said before.
    pub fn say(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(what.to_owned());
        }
    }

    /// So much is done. Threads may call it out of order.
    pub fn set(&self, done: usize) {
        if let Some(bar) = &self.0
            && done as u64 > bar.position()
        {
            bar.set_position(done as u64);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// A meter that begins anew with each phase of a work.
#[derive(Debug)]
pub struct Phases<'u> {
    ui: &'u Ui,
    current: Mutex<Option<(&'static str, Meter)>>,
}

impl<'u> Phases<'u> {
    /// Shows nothing yet.
    pub fn new(ui: &'u Ui) -> Self {
        Self { ui, current: Mutex::new(None) }
    }

    /// So much of a phase is done.
    pub fn at(&self, phase: &'static str, done: usize, total: usize) {
        // A thread that panicked while it drew leaves a meter that can still be drawn.
        let mut current = self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if current.as_ref().is_none_or(|(name, _)| *name != phase) {
            // The old meter has to be off the screen before the new one is drawn.
            *current = None;
            *current = Some((phase, self.ui.meter(phase, total as u64)));
        }
        if let Some((_, meter)) = current.as_ref() {
            meter.set(done);
        }
    }
}
