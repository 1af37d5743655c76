use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;
use serde::Serialize;

use crate::ui::Ui;

/// Print a script that completes commands and options in a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "For bash: carafe completions bash > ~/.local/share/bash-completion/completions/carafe")]
pub struct Args {
    /// The shell
    shell: Shell,
}

#[derive(Serialize)]
struct Json {
    shell: String,
    script: String,
}

/// Prints the script.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut crate::Cli::command(), "carafe", &mut script);
    if ui.json {
        let json = Json { shell: args.shell.to_string(), script: String::from_utf8_lossy(&script).into_owned() };
        return ui.answer(&json, String::new);
    }
    // Not through the printer of text: a script may hold what looks like colours.
    std::io::stdout().write_all(&script)?;
    Ok(())
}
