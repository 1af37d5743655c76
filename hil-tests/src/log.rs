//! What a board logs by defmt: numbers on the link, which the firmware's ELF file has the words for.

use std::fmt;
use std::fs;
use std::path::Path;

use defmt_decoder::{DecodeError, Table};

use crate::Error;

/// A line of a board's log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// `debug`, `info` and so on; empty for a line without one.
    pub level: String,
    /// The board's time, as it is written there; empty if it has none.
    pub time: String,
    /// What it says.
    pub text: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12} {:5} {}", self.time, self.level.to_uppercase(), self.text)
    }
}

/// Puts words to a log.
pub struct LogDecoder {
    board: String,
    table: Table,
    /// Bytes of a line whose end has not come.
    begun: Vec<u8>,
}

impl LogDecoder {
    /// For the log of a firmware; `None` for one that logs nothing.
    ///
    /// # Errors
    /// The file can't be read, or is of another defmt.
    pub fn of(board: &str, elf: &Path) -> Result<Option<Self>, Error> {
        let wrong = |what: String| Error::Log { board: board.to_owned(), what };
        let bytes = fs::read(elf).map_err(|e| wrong(format!("{} can't be read: {e}", elf.display())))?;
        let table = Table::parse(&bytes).map_err(|e| wrong(format!("{}: {e}", elf.display())))?;
        Ok(table.map(|table| Self { board: board.to_owned(), table, begun: Vec::new() }))
    }

    /// The lines that are whole with these bytes. One that is damaged is left out.
    ///
    /// # Errors
    /// The log is not of this firmware.
    pub fn lines(&mut self, bytes: &[u8]) -> Result<Vec<LogLine>, Error> {
        self.begun.extend(bytes);
        // Lines end with a zero, which is not within them.
        let whole = self.begun.iter().rposition(|&byte| byte == 0).map_or(0, |at| at + 1);
        let rest = self.begun.split_off(whole);
        let whole = std::mem::replace(&mut self.begun, rest);
        let mut decoder = self.table.new_stream_decoder();
        decoder.received(&whole);
        let mut lines = vec![];
        let mut damaged = 0;
        loop {
            match decoder.decode() {
                Ok(frame) => lines.push(LogLine {
                    level: frame.level().map_or_else(String::new, |level| level.as_str().to_owned()),
                    time: frame.display_timestamp().map_or_else(String::new, |time| time.to_string()),
                    text: frame.display_message().to_string(),
                }),
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) => damaged += 1,
            }
        }
        if lines.is_empty() && damaged > 0 {
            let what = "its log makes no sense: it runs another firmware than this ELF file; build and flash it again";
            return Err(Error::Log { board: self.board.clone(), what: what.to_owned() });
        }
        Ok(lines)
    }
}
