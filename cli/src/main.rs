//! The `carafe` command: converts trained models into blobs for microcontrollers, looks into them, and runs them, here
//! and on boards.
#![forbid(unsafe_code)]

mod board;
mod commands;
mod conversion;
mod data_args;
mod demo;
#[cfg(test)]
mod docs;
mod failure;
mod files;
mod inputs;
mod interrupt;
mod keys;
mod memory;
mod plan_map;
mod scaffold;
mod tensors;
mod ui;
mod words;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use ui::Ui;

/// Brings trained neural networks to microcontrollers.
#[derive(Debug, Parser)]
#[command(name = "carafe", version, max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    /// Print one JSON object on stdout, and nothing else there; also for errors
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
    /// No progress and no notes, only results, warnings and errors
    #[arg(long, short, global = true, help_heading = "Output")]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(commands::demo::Args),
    Convert(commands::convert::Args),
    Inspect(commands::inspect::Args),
    Run(commands::run::Args),
    Eval(commands::eval::Args),
    Bench(commands::bench::Args),
    Flash(commands::flash::Args),
    Sign(commands::sign::Args),
    Keygen(commands::keygen::Args),
    Profile(commands::profile::Args),
    LayerDiff(commands::layer_diff::Args),
    Test(commands::test::Args),
    Boards(commands::boards::Args),
    Completions(commands::completions::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error),
    };
    interrupt::watch();
    let ui = Ui::new(cli.json, cli.quiet);
    // Where 1 is an answer, as `diff` has it, an error is 2.
    let code = if matches!(cli.command, Command::LayerDiff(_) | Command::Test(_)) { 2 } else { 1 };
    let result = match cli.command {
        Command::Demo(args) => commands::demo::run(&args, &ui),
        Command::Convert(args) => commands::convert::run(&args, &ui),
        Command::Inspect(args) => commands::inspect::run(&args, &ui),
        Command::Run(args) => commands::run::run(&args, &ui),
        Command::Eval(args) => commands::eval::run(&args, &ui),
        Command::Bench(args) => commands::bench::run(&args, &ui),
        Command::Flash(args) => commands::flash::run(&args, &ui),
        Command::Sign(args) => commands::sign::run(&args, &ui),
        Command::Keygen(args) => commands::keygen::run(&args, &ui),
        Command::Profile(args) => commands::profile::run(&args, &ui),
        Command::LayerDiff(args) => commands::layer_diff::run(&args, &ui),
        Command::Test(args) => commands::test::run(&args, &ui),
        Command::Boards(args) => commands::boards::run(&args, &ui),
        Command::Completions(args) => commands::completions::run(&args, &ui),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error, &ui, code),
    }
}
