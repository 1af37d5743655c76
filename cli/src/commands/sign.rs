use std::path::PathBuf;

use anyhow::bail;
use carafe_slots::Trailer;
use serde::Serialize;

use crate::ui::{GOOD, Ui};
use crate::{files, keys};

/// Sign a blob, for boards that take signed models only
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  carafe sign kws.carafe --key ~/keys/models.key")]
pub struct Args {
    /// The blob
    #[arg(value_name = "FILE.carafe")]
    file: PathBuf,
    /// The private key, as `carafe keygen` or `openssl genpkey -algorithm ed25519` makes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where the signed blob goes; without it the signature is put behind the blob where it is
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Json {
    file: String,
    key_id: String,
    bytes: usize,
    /// The key of the signature that stood there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<String>,
}

/// Signs.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let key = keys::read_private(&args.key)?;
    let output = args.output.as_deref().unwrap_or(&args.file);
    files::check_output(output, &[&args.key])?;
    let bytes = files::read_blob(&args.file)?;
    files::verify(&args.file, &bytes)?;
    if args.output.is_none() && args.file.with_extension("weights").exists() {
        bail!("{}: its weights are in a file of their own; give -o for the blob with both", args.file.display());
    }
    let Some((blob, before)) = Trailer::split(&bytes) else {
        bail!("{}: it ends too early; copy it again", args.file.display());
    };
    let signed = keys::sign(blob, &key);
    files::Pending::write(output, &signed)?.publish()?;
    let json = Json {
        file: output.display().to_string(),
        key_id: keys::id(&key.verifying_key()),
        bytes: signed.len(),
        replaced: before.map(|trailer| carafe_hil::key_id(&trailer.key)),
    };
    ui.answer(&json, || {
        let replaced = json.replaced.as_ref().map_or(String::new(), |id| format!(", in place of key {id}"));
        format!("{GOOD}{}: signed with key {}{GOOD:#}{replaced}\n", json.file, json.key_id)
    })
}
