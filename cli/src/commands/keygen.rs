use std::path::PathBuf;

use serde::Serialize;

use crate::keys;
use crate::ui::{GOOD, Ui};

/// Make a pair of keys to sign models with
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The private key is yours alone: keep it out of the repository. Nothing else has a copy of it.\n\n\
                  Example:\n  carafe keygen ~/keys/models.key"
)]
pub struct Args {
    /// Where the private key goes; the public one goes beside it, with `.pub` behind the name
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Json {
    private: String,
    public: String,
    key_id: String,
    /// What a firmware with the feature `signed` takes as `CARAFE_PUBLIC_KEY`.
    public_key: String,
}

/// Makes them.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let made = keys::make(&args.out)?;
    let json = Json {
        private: args.out.display().to_string(),
        public: made.public.display().to_string(),
        key_id: keys::id(&made.key),
        public_key: keys::digits(&made.key),
    };
    ui.answer(&json, || {
        format!(
            "{GOOD}key {}{GOOD:#}\n  private  {} (keep it to yourself)\n  public   {}\n  firmware CARAFE_PUBLIC_KEY={}\n",
            json.key_id, json.private, json.public, json.public_key
        )
    })
}
