use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use carafe::Model;
use carafe::blob::StringKind;
use carafe_converter::dataset::{Dataset, DatasetError, InputSpec, Table};
use carafe_converter::evaluate::{self, Confusion, Evaluation, Layer, Source};
use carafe_converter::{frontend, passes};
use carafe_graph::Tensor;
use serde::Serialize;

use crate::data_args::DataArgs;
use crate::failure::Usage;
use crate::ui::{DIM, GOOD, HEADING, Ui, WARNING};
use crate::words::{self, Align};
use crate::{conversion, files, tensors};

/// Measure how well a blob answers, and how close it stays to its float model
#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --json, `confusions` lists how often a class was taken for a class (`truth`, `answer`, `count`), and \
                  up to 64 classes `confusion` has the same as a matrix, one row for each right class.\n\nExample:\n  \
                  carafe eval digits.carafe --data test.npz --float digits.xml"
)]
pub struct Args {
    /// The blob
    #[arg(value_name = "FILE.carafe")]
    file: PathBuf,
    /// Test data: a folder of images (one folder a class, or with --labels), an .npz (arrays `x` and `y`), or an .npy
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// The float model that the blob was made of: compares answers, and layers of a blob made with --debug-info
    #[arg(long, value_name = "MODEL")]
    float: Option<PathBuf>,
    /// The right answers, in place of those in the data: an .npy of integers, or a .csv with a column `file`
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Which column of a .csv holds the labels; else the one whose name begins with `label`
    #[arg(long, value_name = "NAME", requires = "labels")]
    label_column: Option<String>,
    /// Only files whose column `split` in the .csv says this
    #[arg(long, value_name = "NAME", requires = "labels")]
    split: Option<String>,
    #[command(flatten)]
    how: DataArgs,
}

#[derive(Serialize)]
struct Json {
    samples: usize,
    top1: Option<f64>,
    float_top1: Option<f64>,
    agreement: Option<f64>,
    sqnr_db: Option<f64>,
    logit_sqnr_db: Option<f64>,
    layers: Vec<Layer>,
    /// Every pair of right class and answer that occurred. Empty without labels.
    confusions: Vec<Confusion>,
    /// The same as a matrix, rows: the right class; columns: the answer. Empty without labels, and beyond
    /// [`MATRIX`] classes.
    confusion: Vec<Vec<u32>>,
}

/// The most classes that a matrix is written for.
const MATRIX: usize = 64;

/// A row for each class that may be right, a column for each answer.
fn matrix(confusions: &[Confusion], classes: usize) -> Vec<Vec<u32>> {
    if confusions.is_empty() || classes > MATRIX {
        return vec![];
    }
    let mut matrix = vec![vec![0; classes]; classes];
    for c in confusions {
        if let Some(cell) = matrix.get_mut(c.truth).and_then(|row| row.get_mut(c.answer)) {
            *cell = c.count;
        }
    }
    matrix
}

impl Json {
    fn of(e: Evaluation, classes: usize) -> Self {
        Self {
            samples: e.samples,
            top1: e.top1,
            float_top1: e.float_top1,
            agreement: Some(e.agreement),
            sqnr_db: Some(e.sqnr_db),
            logit_sqnr_db: e.logit_sqnr_db,
            layers: e.layers,
            confusion: matrix(&e.confusion, classes),
            confusions: e.confusion,
        }
    }
}

/// Evaluates.
pub fn run(args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let blob = files::read_blob(&args.file)?;
    let model = files::verify(&args.file, &blob)?;
    let float = match &args.float {
        Some(path) => {
            let graph = frontend::load(path)?;
            let spec = conversion::input_spec(&graph)?;
            let optimized = passes::optimize(graph, &mut |_, _| {})?;
            Some((path, spec, optimized))
        }
        None => None,
    };
    let spec = match &float {
        Some((_, spec, _)) => spec.clone(),
        None => blob_spec(&args.file, &model)?,
    };
    let data = open(args, &model, &spec, ui)?;
    // Of a map there is no greatest class.
    let vector = tensors::outputs(&model).first().is_some_and(tensors::is_vector);
    let labels = data.labels().filter(|_| vector);
    if args.labels.is_some() && !vector {
        bail!("{}: its output is no list of classes, so labels say nothing; leave --labels out", args.file.display());
    }
    if float.is_none() && labels.is_none() {
        return Err(Usage(format!(
            "{}: there is nothing to compare the answers with; give labels by --labels FILE, or the float model by \
             --float MODEL",
            args.data.display()
        ))
        .into());
    }
    let get = |i: usize| -> Result<Vec<Tensor>, DatasetError> { Ok(vec![data.get(i)?]) };
    let source = Source { len: data.len(), get: &get };
    let classes = model.output(0).map_or(0, |o| o.bytes);
    let json = match &float {
        Some((path, _, optimized)) => {
            let meter = ui.meter("evaluate, int8 and float", data.len() as u64);
            let found = evaluate::evaluate_source(&blob, optimized, source, labels, &|done| meter.set(done));
            drop(meter);
            let found = found.with_context(|| format!("{} against {}", args.file.display(), path.display()))?;
            if found.layers.is_empty() {
                ui.note("no layers: the blob has no names of them; convert with --debug-info to see them");
            }
            Json::of(found, classes)
        }
        None => answers(args, &blob, source, (labels.unwrap_or(&[]), classes), ui)?,
    };
    let names = class_names(&model, &data);
    ui.answer(&json, || text(&json, &names, ui))
}

/// How a blob does by itself.
fn answers(
    args: &Args,
    blob: &[u8],
    source: Source<'_>,
    (labels, classes): (&[u32], usize),
    ui: &Ui,
) -> anyhow::Result<Json> {
    let meter = ui.meter("evaluate, int8", source.len as u64);
    let answers = evaluate::classify(blob, source, Some(labels), &|done| meter.set(done));
    drop(meter);
    let answers = answers.with_context(|| args.file.display().to_string())?;
    let confusions = evaluate::confusion(labels, &answers);
    Ok(Json {
        samples: answers.len(),
        top1: Some(evaluate::right(labels, &answers)),
        float_top1: None,
        agreement: None,
        sqnr_db: None,
        logit_sqnr_db: None,
        layers: vec![],
        confusion: matrix(&confusions, classes),
        confusions,
    })
}

/// The one input of a blob.
fn blob_spec(file: &Path, model: &Model<'_>) -> anyhow::Result<InputSpec> {
    match &tensors::inputs(model)[..] {
        [io] => Ok(tensors::spec(io)),
        all => {
            let names: Vec<&str> = all.iter().map(|io| io.name.as_str()).collect();
            bail!(
                "{}: has {} inputs ({}); data can be given for one only so far",
                file.display(),
                all.len(),
                names.join(", ")
            )
        }
    }
}

fn open(args: &Args, model: &Model<'_>, spec: &InputSpec, ui: &Ui) -> anyhow::Result<Dataset> {
    let data = Dataset::open(&args.data, spec, &args.how.preprocess_for(model))?;
    args.how.check_numbers(&args.file, model, &args.data, &data, ui)?;
    let Some(labels) = &args.labels else { return Ok(data) };
    if labels.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
        let table = Table { label: args.label_column.clone(), split: args.split.clone() };
        return Ok(data.with_table(labels, &table)?);
    }
    if args.label_column.is_some() || args.split.is_some() {
        let what = "has no columns: --label-column and --split go with a .csv";
        return Err(Usage(format!("{}: {what}", labels.display())).into());
    }
    Ok(data.with_labels(labels)?)
}

/// Names of the classes: those of the blob, else of the folders, else their numbers.
fn class_names(model: &Model<'_>, data: &Dataset) -> Vec<String> {
    let mut names: Vec<String> = model.strings().filter(|s| s.0 == StringKind::Label).map(|s| s.2.to_owned()).collect();
    if names.is_empty() {
        names = data.classes().to_vec();
    }
    let classes = model.output(0).map_or(0, |o| o.bytes);
    (0..classes).map(|c| names.get(c).cloned().unwrap_or_else(|| c.to_string())).collect()
}

/// Mix-ups, classes and layers that the text names.
const WORST: usize = 10;
/// So many classes are all named.
const FEW: usize = 20;

fn text(json: &Json, names: &[String], ui: &Ui) -> String {
    let mut text = format!("{HEADING}{} samples{HEADING:#}\n", words::count(json.samples));
    let mut line = |what: &str, value: String| text.push_str(&format!("  {what:10} {value}\n"));
    if let Some(top1) = json.top1 {
        let float = json.float_top1.map_or_else(String::new, |f| format!(", float {}", words::percent(f)));
        line("top-1", format!("{GOOD}{}{GOOD:#}{float}", words::percent(top1)));
    }
    if let Some(agreement) = json.agreement {
        line("agreement", format!("{} with float", words::percent(agreement)));
    }
    if let Some(db) = json.sqnr_db {
        let logits = json.logit_sqnr_db.map_or_else(String::new, |db| format!(", {db:.1} dB of the logits"));
        line("SQNR", format!("{db:.1} dB{logits}"));
    }
    text.push_str(&confusion_text(&json.confusions, names));
    text.push_str(&layers_text(&json.layers, ui));
    text
}

/// The commonest mix-ups, and how much of each class is found.
fn confusion_text(confusions: &[Confusion], names: &[String]) -> String {
    let name = |c: usize| names.get(c).map_or_else(|| c.to_string(), |n| words::short(n, 30));
    let mut wrong: Vec<&Confusion> = confusions.iter().filter(|c| c.answer != c.truth).collect();
    let mut recall: Vec<(f64, u32, usize)> = vec![];
    for row in confusions.chunk_by(|a, b| a.truth == b.truth) {
        let all: u32 = row.iter().map(|c| c.count).sum();
        let right: u32 = row.iter().filter(|c| c.answer == c.truth).map(|c| c.count).sum();
        recall.extend(row.first().map(|c| (f64::from(right) / f64::from(all.max(1)), all, c.truth)));
    }
    let mut text = String::new();
    if recall.is_empty() {
        return text;
    }
    // Stable: among equals, the order of classes stays.
    wrong.sort_by_key(|c| std::cmp::Reverse(c.count));
    if !wrong.is_empty() {
        text.push_str(&format!("\n{HEADING}commonest mix-ups{HEADING:#}\n"));
        let row = |c: &&Confusion| vec![name(c.truth), name(c.answer), words::count(c.count)];
        let head = [("is", Align::Left), ("taken for", Align::Left), ("samples", Align::Right)];
        text.push_str(&words::table(&head, &wrong.iter().take(WORST).map(row).collect::<Vec<_>>()));
    }
    let title = if recall.len() <= FEW {
        "found, by class".to_owned()
    } else {
        recall.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2)));
        let worst = recall.iter().filter(|r| r.0 < 1.0).count();
        recall.truncate(WORST.min(worst));
        format!("found, by class ({worst} classes are not always found)")
    };
    text.push_str(&format!("\n{HEADING}{title}{HEADING:#}\n"));
    let row =
        |&(fraction, all, class): &(f64, u32, usize)| vec![name(class), words::count(all), words::percent(fraction)];
    let head = [("class", Align::Left), ("samples", Align::Right), ("found", Align::Right)];
    if !recall.is_empty() {
        text.push_str(&words::table(&head, &recall.iter().map(row).collect::<Vec<_>>()));
    }
    text
}

/// The layers farthest from float.
fn layers_text(layers: &[Layer], ui: &Ui) -> String {
    if layers.is_empty() {
        return String::new();
    }
    let mut worst: Vec<&Layer> = layers.iter().collect();
    worst.sort_by(|a, b| a.sqnr_db.total_cmp(&b.sqnr_db));
    worst.truncate(WORST);
    let row = |l: &&Layer| {
        vec![
            format!("{:.1}", l.sqnr_db),
            words::percent(l.saturated),
            words::short(&l.name, ui.width.saturating_sub(30).max(30)),
        ]
    };
    let head = [("dB", Align::Right), ("saturated", Align::Right), ("layer", Align::Left)];
    let rows = words::table(&head, &worst.iter().map(row).collect::<Vec<_>>());
    let mut text = format!("\n{HEADING}layers farthest from float, of {}{HEADING:#}\n{rows}", layers.len());
    if worst.first().is_some_and(|l| l.sqnr_db < 10.0) {
        text.push_str(&format!("  {WARNING}under 10 dB:{WARNING:#} {DIM}was the blob made of this model?{DIM:#}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{MATRIX, confusion_text, matrix};
    use carafe_converter::evaluate::confusion;

    #[test]
    fn mix_ups_and_recall() {
        let names: Vec<String> = ["cat", "dog", "emu"].map(str::to_owned).to_vec();
        let (labels, answers) = ([&[0; 10][..], &[1; 5]].concat(), [&[0; 8][..], &[1; 7]].concat());
        let found = confusion(&labels, &answers);
        let text = confusion_text(&found, &names);
        let text = anstream::adapter::strip_str(&text).to_string();
        let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
        assert!(lines.contains(&vec!["cat", "dog", "2"]), "{text}");
        assert!(lines.contains(&vec!["cat", "10", "80.0", "%"]), "{text}");
        assert!(lines.contains(&vec!["dog", "5", "100.0", "%"]), "{text}");
        assert!(!text.contains("emu"), "{text}");
        assert_eq!(confusion_text(&[], &names), "");
        assert_eq!(matrix(&found, 3), [[8, 2, 0], [0, 5, 0], [0, 0, 0]]);
        assert_eq!(matrix(&found, MATRIX + 1), [[0; 0]; 0]);
    }
}
