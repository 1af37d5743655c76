//! What happens when something fails: messages, JSON, and exit codes (1 for errors, 2 for wrong usage; where 1 is an
//! answer, 2 for both).

use std::fmt;
use std::io;
use std::process::ExitCode;

use serde::Serialize;

use crate::ui::{self, Ui};

/// The command line is well-formed, but does not say enough: exit code 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The command has said on stdout, in its own form, what failed; only the exit code is left to give.
#[derive(Debug)]
pub struct Reported;

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed, as reported")
    }
}

impl std::error::Error for Reported {}

#[derive(Serialize)]
struct Json {
    error: String,
    causes: Vec<String>,
}

/// The command has said on stdout that there is nothing to judge: no success, but no failure of what was asked about.
#[derive(Debug)]
pub struct Undecided;

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("undecided, as reported")
    }
}

impl std::error::Error for Undecided {}

/// Reports an error of a command, and gives its exit code: `code`, but for wrong usage, and for what is reported already.
pub fn report(error: &anyhow::Error, ui: &Ui, code: u8) -> ExitCode {
    if error.is::<Reported>() || is_broken_pipe(error) {
        return ExitCode::from(1);
    }
    if error.is::<Undecided>() {
        return ExitCode::from(code);
    }
    let mut messages = messages(error).into_iter();
    let json = Json { error: messages.next().unwrap_or_default(), causes: messages.collect() };
    if ui.json {
        print_json(&json);
    }
    let red = ui::ERROR;
    let mut text = format!("{red}error:{red:#} {}\n", json.error);
    json.causes.iter().for_each(|c| text.push_str(&format!("  because: {c}\n")));
    anstream::eprint!("{text}");
    ExitCode::from(if error.is::<Usage>() { 2 } else { code })
}

/// Reports what the parser of the command line says: an error, or help or the version.
pub fn usage(error: &clap::Error) -> ExitCode {
    // The parser has no result, so whether JSON is wanted has to be seen without it.
    let wants_json = std::env::args_os().take_while(|a| a != "--").any(|a| a == "--json");
    if wants_json && error.use_stderr() {
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text).trim().to_owned();
        print_json(&Json { error: text, causes: vec![] });
    }
    // Nowhere is left to say that stderr is closed.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn print_json(json: &Json) {
    if let Ok(text) = serde_json::to_string(json) {
        use io::Write;
        let _ = writeln!(io::stdout(), "{text}");
    }
}

/// The chain of messages, without those that the message before already contains: errors of the libraries quote their
/// sources.
fn messages(error: &anyhow::Error) -> Vec<String> {
    let mut messages: Vec<String> = vec![];
    for message in error.chain().map(ToString::to_string) {
        if messages.last().is_none_or(|before| !before.contains(&message)) {
            messages.push(message);
        }
    }
    messages
}

/// The reader of stdout has gone, as `head` does: nothing to tell anybody.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn quoted_sources_are_not_repeated() {
        let e = Err::<(), _>(anyhow!("no such file")).context("x.xml: no such file; check").context("can't convert");
        assert_eq!(messages(&e.unwrap_err()), ["can't convert", "x.xml: no such file; check"]);
    }

    #[test]
    fn only_a_broken_pipe_is_passed_over() {
        assert!(is_broken_pipe(&io::Error::from(io::ErrorKind::BrokenPipe).into()));
        assert!(!is_broken_pipe(&io::Error::from(io::ErrorKind::NotFound).into()));
    }
}
