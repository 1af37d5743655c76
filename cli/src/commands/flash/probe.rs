//! A real board: through a debug probe, with the code that the device has for its slots.

use anyhow::bail;
use carafe_boards::Board;

use super::{Args, Model};
use crate::ui::Ui;

/// What there is to say of a board behind a debug probe.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Boards behind a debug probe")]
pub struct ProbeArgs {
    /// The chip, as probe-rs names it; by default that of the board
    #[arg(long, value_name = "NAME")]
    pub chip: Option<String>,
    /// The probe, if there are several
    #[arg(long, value_name = "VID:PID[:SERIAL]")]
    pub probe: Option<String>,
    /// Where the firmware has its slots: address of the first, and bytes of each
    #[arg(long, value_name = "ADDRESS:BYTES", value_parser = slots)]
    pub slots: Option<(u64, u32)>,
    /// Afterwards show what the firmware logs on RTT, for so many seconds; with its words if its ELF file is known (`--elf`,
    /// or that of the board)
    #[arg(long, value_name = "SECONDS")]
    pub log: Option<u64>,
    /// Only list the probes
    #[arg(long)]
    pub list_probes: bool,
}

/// `0x08100000:0x40000`, or in decimal.
fn slots(text: &str) -> Result<(u64, u32), String> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(&digits.replace('_', ""), 16),
        None => text.parse(),
    };
    let parts = text.split_once(':').and_then(|(a, b)| Some((number(a).ok()?, u32::try_from(number(b).ok()?).ok()?)));
    parts.ok_or_else(|| "give the address of the first slot and the bytes of each, e.g. 0x08100000:0x40000".to_owned())
}

#[cfg(not(feature = "probe"))]
mod way {
    use super::{Args, Board, Model, Ui, bail};

    const REMEDY: &str = "this `carafe` was built without debug probes; build it with them: cargo build --release -p carafe-cli \
                          --features probe";

    pub fn list(_: &Ui) -> anyhow::Result<()> {
        bail!("{REMEDY}")
    }

    pub fn run(_: &Args, _: Option<&'static Board>, _: Option<Model<'_>>, _: &Ui) -> anyhow::Result<()> {
        bail!("{REMEDY}")
    }
}

#[cfg(feature = "probe")]
mod way {
    use std::io::Write;
    use std::time::{Duration, Instant};

    use carafe_boards::How;
    use carafe_hil::LogDecoder;
    use carafe_hil::probe::{self, ProbeRs, Probes, Selector, SlotArea};
    use carafe_slots::{Reason, State};
    use serde::Serialize;

    use super::super::report::{self, Outcome};
    use super::{Args, Board, Model, Ui, bail};
    use crate::failure::{Reported, Usage};
    use crate::ui::{ERROR, GOOD};

    /// For a board to start and try a model.
    const TRIAL: Duration = Duration::from_secs(10);

    #[derive(Serialize)]
    struct Json {
        chip: String,
        probe: String,
        outcome: Outcome,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        slot: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sequence: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<usize>,
        seconds: f64,
    }

    #[derive(Serialize)]
    struct Found {
        probes: Vec<String>,
    }

    pub fn list(ui: &Ui) -> anyhow::Result<()> {
        let found = Found { probes: ProbeRs::default().list().iter().map(ToString::to_string).collect() };
        ui.answer(&found, || match found.probes.as_slice() {
            [] => "no debug probe is connected\n".to_owned(),
            probes => probes.iter().map(|probe| format!("{probe}\n")).collect(),
        })
    }

    pub fn run(args: &Args, board: Option<&'static Board>, model: Option<Model<'_>>, ui: &Ui) -> anyhow::Result<()> {
        let begun = Instant::now();
        let of_board = board.and_then(|board| match board.how {
            How::Probe { chip, slots } => Some((chip, slots)),
            _ => None,
        });
        if let (Some(board), Some((_, None)), None) = (board, of_board, &args.probe.chip) {
            bail!(
                "{}: is not flashed through a probe: the README of its crate says how its firmware is, and models go over its link",
                board.name
            );
        }
        let Some(chip) = args.probe.chip.as_deref().or(of_board.map(|(chip, _)| chip)) else {
            return Err(Usage("which chip? Give `--chip NAME`, as probe-rs names it".to_owned()).into());
        };
        let wanted = args.probe.probe.as_deref().map(str::parse::<Selector>).transpose()?;
        let probes = ProbeRs::default();
        let probe = probe::choose(&probes, wanted.as_ref())?;
        let mut port = probes.attach(&probe, chip)?;
        let mut json = Json {
            chip: chip.to_owned(),
            probe: probe.to_string(),
            outcome: Outcome::Status,
            why: None,
            slot: None,
            sequence: None,
            bytes: None,
            seconds: 0.0,
        };
        if let Some(model) = model {
            let of_board = of_board.and_then(|(_, slots)| slots).map(|slots| (slots.start, slots.bytes));
            let Some((address, slot_bytes)) = args.probe.slots.or(of_board) else {
                return Err(Usage(
                    "where are the slots? Give `--slots ADDRESS:BYTES` as your firmware has them".to_owned(),
                )
                .into());
            };
            let area = SlotArea { address, slot_bytes };
            let meter = ui.meter(&format!("flash {}", model.path.display()), model.bytes.len() as u64);
            let flashed = probe::flash_model(&mut *port, area, &model.bytes, &mut |done, _| meter.set(done));
            drop(meter);
            let flashed = flashed?;
            let state = probe::watch(&mut *port, area, flashed.slot, TRIAL)?;
            (json.slot, json.sequence) = (Some(report::name(flashed.slot.index())), Some(flashed.sequence));
            json.bytes = Some(model.bytes.len());
            (json.outcome, json.why) = match state {
                State::Good => (Outcome::Confirmed, None),
                State::Trial(1..) => (Outcome::Trial, None),
                State::Rejected(why) => (Outcome::Returned, Some(reason(why).to_owned())),
                _ => (
                    Outcome::Returned,
                    Some("the firmware has not looked at it: does it have its slots there?".to_owned()),
                ),
            };
        } else if args.firmware {
            let elf = match (&args.elf, board) {
                (Some(elf), _) => elf.clone(),
                (None, Some(board)) if args.probe.log.is_some() => carafe_hil::firmware::build_logging(board)?,
                (None, Some(board)) => carafe_hil::firmware::build(board)?,
                (None, None) => {
                    return Err(Usage("which firmware? Give `--board NAME` or `--elf ELF`".to_owned()).into());
                }
            };
            let meter = ui.meter(&format!("flash {}", elf.display()), 0);
            port.program_elf(&elf, &mut |done, _| meter.set(done))?;
            port.reset()?;
        } else {
            bail!("{chip}: what is in the slots of a real board, its firmware tells; ask it over its link");
        }
        json.seconds = begun.elapsed().as_secs_f64();
        ui.answer(&json, || text(&json))?;
        if let Some(seconds) = args.probe.log {
            let said = port.log(Duration::from_secs(seconds))?;
            show(&said, &json.chip, args, board, ui)?;
        }
        if json.outcome == Outcome::Returned { Err(Reported.into()) } else { Ok(()) }
    }

    /// What a firmware has logged: by defmt, if its ELF file says so.
    fn show(said: &[u8], chip: &str, args: &Args, board: Option<&'static Board>, ui: &Ui) -> anyhow::Result<()> {
        let elf = match (&args.elf, board) {
            (Some(elf), _) => Some(elf.clone()),
            (None, Some(board)) => carafe_hil::firmware::build_logging(board).ok(),
            (None, None) => None,
        };
        match elf.map(|elf| LogDecoder::of(chip, &elf)).transpose()?.flatten() {
            Some(mut words) => words.lines(said)?.iter().for_each(|line| ui.log(&line.to_string())),
            None => std::io::stderr().write_all(said)?,
        }
        Ok(())
    }

    fn reason(why: Reason) -> &'static str {
        use carafe_hil::protocol::SlotReason;
        report::reason(match why {
            Reason::Trials => SlotReason::Trials,
            Reason::Reverted => SlotReason::Reverted,
            Reason::Crc => SlotReason::Crc,
            Reason::Blob => SlotReason::Blob,
            Reason::Memory => SlotReason::Memory,
            Reason::NoGolden => SlotReason::NoGolden,
            Reason::Golden => SlotReason::Golden,
            Reason::Signature => SlotReason::Signature,
            Reason::Flash => SlotReason::Flash,
            _ => SlotReason::Unknown,
        })
    }

    fn text(json: &Json) -> String {
        let slot = json.slot.unwrap_or("-");
        let (style, said) = match json.outcome {
            Outcome::Confirmed => (GOOD, format!("slot {slot}: tried and confirmed")),
            Outcome::Trial => (GOOD, format!("slot {slot}: on trial; your application confirms it")),
            Outcome::Status => (GOOD, "firmware flashed".to_owned()),
            _ => (ERROR, format!("slot {slot}: it did not stand its trial")),
        };
        let why = json.why.as_ref().map_or(String::new(), |why| format!("  because {why}\n"));
        format!("{style}{}: {said}{style:#}\n{why}  through {}\n", json.chip, json.probe)
    }
}

pub use way::{list, run};

#[cfg(test)]
mod tests {
    use super::slots;

    #[test]
    fn slots_are_an_address_and_a_length() {
        assert_eq!(slots("0x0810_0000:0x40000"), Ok((0x0810_0000, 0x40000)));
        assert_eq!(slots("4096:512"), Ok((4096, 512)));
        assert!(slots("0x0810_0000").is_err() && slots("a:b").is_err() && slots("1:0x100000000").is_err());
    }
}
