//! A suite with all that it names: models, inputs, and what is expected, ready to be run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carafe::Model;

use super::case::{self, CaseReader};
use super::check::Expect;
use super::faults::FaultKind;
use super::format::{CaseHead, Head, LimitsAndBoards, ModelHead, take};
use super::{Limits, SuiteError, source};

/// Seconds that an inference may take, if the suite says nothing.
const TIMEOUT: f64 = 60.0;
/// Broken frames of [`FaultKind::Noise`], if the suite says nothing.
const NOISE_FRAMES: usize = 200;

/// A suite, ready to be run.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SuiteFile {
    /// Its name.
    pub name: String,
    /// The boards that it is for, if the command line names none; may be empty.
    pub boards: Vec<String>,
    /// The models, each with its cases.
    pub models: Vec<TestModel>,
}

/// A model and what is done with it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TestModel {
    /// Its name.
    pub name: String,
    /// The blob.
    pub blob: Vec<u8>,
    /// Skipped, not failed, where it does not fit.
    pub may_not_fit: bool,
    /// Boards that it is not run on, each with the reason.
    pub skip: Vec<(String, String)>,
    /// Inferences.
    pub cases: Vec<TestCase>,
    /// Faults.
    pub faults: Vec<FaultKind>,
    /// Frames of [`FaultKind::Noise`].
    pub noise_frames: usize,
    /// What shows after a fault that the board still computes.
    pub probe: Probe,
    /// For an inference after a fault.
    pub timeout: Duration,
}

/// An inference whose outputs are known.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Probe {
    /// By input.
    pub input: Vec<Vec<u8>>,
    /// By output; those of this computer.
    pub outputs: Vec<Vec<u8>>,
}

/// Inferences with one expectation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TestCase {
    /// Its name.
    pub name: String,
    /// By sample, by input: bytes. Of a model with a state, steps of one sequence, which begins with the case.
    pub samples: Vec<Vec<Vec<u8>>>,
    /// What has to come out.
    pub expect: Expect,
    /// For one inference.
    pub timeout: Duration,
    /// From the suite's to the case's: later ones count. With each, those for single boards.
    limits: Vec<BoardLimits>,
}

impl TestCase {
    /// A case without limits.
    pub fn new(name: &str, samples: Vec<Vec<Vec<u8>>>, expect: Expect, timeout: Duration) -> Self {
        Self { name: name.to_owned(), samples, expect, timeout, limits: vec![] }
    }

    /// The same with limits for all boards.
    #[must_use]
    pub fn limited(mut self, limits: Limits) -> Self {
        self.limits.push((limits, vec![]));
        self
    }

    /// The limits on a board.
    pub fn limits_on(&self, board: &str) -> Limits {
        let on = |all: &[(String, Limits)]| all.iter().find(|(name, _)| name == board).map(|(_, limits)| *limits);
        let add = |sum: Limits, (general, special): &(Limits, Vec<(String, Limits)>)| {
            sum.but(*general).but(on(special).unwrap_or_default())
        };
        self.limits.iter().fold(Limits::default(), add)
    }

    /// Those that name the board: it has to tell what they limit.
    pub fn demanded_on(&self, board: &str) -> Limits {
        let special = self.limits.iter().flat_map(|(_, special)| special).filter(|(name, _)| name == board);
        special.fold(Limits::default(), |sum, (_, limits)| sum.but(*limits))
    }

    /// True if it limits instructions somewhere, so that boards have to count them.
    fn counts(&self) -> bool {
        let has = |limits: &Limits| limits.instructions.is_some();
        self.limits.iter().any(|(general, special)| has(general) || special.iter().any(|(_, limits)| has(limits)))
    }
}

impl TestModel {
    /// A model with cases.
    pub fn new(name: &str, blob: Vec<u8>, cases: Vec<TestCase>) -> Self {
        Self { name: name.to_owned(), blob, cases, timeout: Duration::from_secs_f64(TIMEOUT), ..Self::default() }
    }

    /// The same with faults. The probe is an input with its outputs.
    #[must_use]
    pub fn with_faults(
        mut self,
        faults: &[FaultKind],
        noise_frames: usize,
        input: Vec<Vec<u8>>,
        outputs: Vec<Vec<u8>>,
    ) -> Self {
        self.faults = faults.to_vec();
        self.noise_frames = noise_frames;
        self.probe = Probe { input, outputs };
        self
    }

    /// Rows that it has in a report.
    pub fn rows(&self) -> usize {
        self.cases.len() + self.faults.len()
    }

    /// Their names.
    pub(super) fn row_names(&self) -> Vec<String> {
        let cases = self.cases.iter().map(|case| case.name.clone());
        cases.chain(self.faults.iter().map(|fault| format!("fault: {}", fault.word()))).collect()
    }
}

impl SuiteFile {
    /// A suite made by hand.
    pub fn new(name: &str, models: Vec<TestModel>) -> Self {
        Self { name: name.to_owned(), boards: vec![], models }
    }

    /// Reads a suite and all that it names; paths in it are relative to its folder. `watch` is told the model that is
    /// read next: some are converted first.
    ///
    /// # Errors
    /// What is wrong with it, in which model and case, and the remedy.
    pub fn read(path: &Path, watch: &mut dyn FnMut(&str)) -> Result<Self, SuiteError> {
        let place = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|e| SuiteError::new(&place, format!("can't be read: {e}; check the path")))?;
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| SuiteError::new(&place, e))?;
        let mut head: Head = take(&place, table)?;
        let stem = path.file_stem().map_or_else(|| "suite".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let suite = Context {
            folder: path.parent().unwrap_or(Path::new("")).to_path_buf(),
            timeout: head.timeout.unwrap_or(TIMEOUT),
            limits: limits_of(&place, &head.limits)?,
        };
        head.boards.iter().try_for_each(|board| known(&place, board))?;
        let mut models: Vec<TestModel> = vec![];
        for (index, table) in std::mem::take(&mut head.model).into_iter().enumerate() {
            for model in suite.models(&place, index, table, watch)? {
                if models.iter().any(|other| other.name == model.name) {
                    let what = format!("there are two models `{}`; give one another `name`", model.name);
                    return Err(SuiteError::new(&place, what));
                }
                models.push(model);
            }
        }
        if models.iter().all(|model| model.rows() == 0) {
            return Err(SuiteError::new(&place, "there is nothing to run; add a `[[model]]` with a `[[model.case]]`"));
        }
        Ok(Self { name: head.name.unwrap_or(stem), boards: head.boards, models })
    }

    /// Keeps only cases and faults whose `model / case` is wanted.
    pub fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        for model in &mut self.models {
            let name = model.name.clone();
            model.cases.retain(|case| wanted(&format!("{name} / {}", case.name)));
            model.faults.retain(|fault| wanted(&format!("{name} / fault: {}", fault.word())));
        }
        self.models.retain(|model| model.rows() > 0);
    }

    /// True if boards have to count instructions for it.
    pub fn counts_instructions(&self) -> bool {
        self.models.iter().flat_map(|model| &model.cases).any(TestCase::counts)
    }
}

/// For all boards, and for single ones.
type BoardLimits = (Limits, Vec<(String, Limits)>);

fn known(place: &str, board: &str) -> Result<(), SuiteError> {
    carafe_boards::find(board).map(|_| ()).map_err(|e| SuiteError::new(place, e))
}

fn limits_of(place: &str, head: &LimitsAndBoards) -> Result<BoardLimits, SuiteError> {
    head.on.keys().try_for_each(|board| known(place, board))?;
    Ok((head.general(), head.on.iter().map(|(board, limits)| (board.clone(), *limits)).collect()))
}

fn seconds(place: &str, seconds: f64) -> Result<Duration, SuiteError> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|limit| !limit.is_zero())
        .ok_or_else(|| SuiteError::new(place, format!("`timeout = {seconds}` is no time; give seconds")))
}

/// What the file says for all its models.
struct Context {
    folder: PathBuf,
    timeout: f64,
    limits: BoardLimits,
}

impl Context {
    /// The model of a table; or those, if it has one for each of some words.
    fn models(
        &self,
        file: &str,
        index: usize,
        mut table: toml::Table,
        watch: &mut dyn FnMut(&str),
    ) -> Result<Vec<TestModel>, SuiteError> {
        let Some(each) = table.remove("each") else {
            return Ok(vec![self.model(file, index, table, None, watch)?]);
        };
        let place = format!("{file}, model {}", index + 1);
        let wrong = || SuiteError::new(&place, "`each` is a list of words, one for each model, put in place of `{}`");
        let words: Vec<String> = each.try_into().map_err(|_| wrong())?;
        if table.get("name").and_then(toml::Value::as_str).is_some_and(|name| !name.contains("{}")) {
            return Err(SuiteError::new(&place, "`each` makes several models; put `{}` into `name`, or leave it out"));
        }
        let one = |word: &String| {
            let mut table = table.clone();
            table.iter_mut().for_each(|(_, value)| fill_in(value, word));
            self.model(file, index, table, Some(word), watch)
        };
        words.iter().map(one).collect()
    }

    fn model(
        &self,
        file: &str,
        index: usize,
        table: toml::Table,
        word: Option<&String>,
        watch: &mut dyn FnMut(&str),
    ) -> Result<TestModel, SuiteError> {
        let named = table.get("name").and_then(toml::Value::as_str).or(word.map(String::as_str)).map(str::to_owned);
        let place =
            format!("{file}, model {}", named.as_ref().map_or_else(|| (index + 1).to_string(), |n| format!("`{n}`")));
        let head: ModelHead = take(&place, table)?;
        let name = named.unwrap_or_else(|| source::name(&head, index));
        let place = format!("{file}, model `{name}`");
        watch(&name);
        let blob = source::blob(&self.folder, &place, &head)?;
        let model = Model::verify(&blob, carafe::ops::ALL)
            .map_err(|e| SuiteError::new(&place, format!("the blob does not verify: {e}; convert the model again")))?;
        let labels = source::labels(&self.folder, &place, &head, &model)?;
        let timeout = head.timeout.unwrap_or(self.timeout);
        let limits = [self.limits.clone(), limits_of(&place, &head.limits)?];
        head.skip.iter().try_for_each(|skip| known(&place, &skip.board))?;
        let mut cases: Vec<TestCase> = vec![];
        for (index, table) in head.case.into_iter().enumerate() {
            let named = table.get("name").and_then(toml::Value::as_str).map(str::to_owned);
            let name = named.unwrap_or_else(|| (index + 1).to_string());
            let place = format!("{place}, case `{name}`");
            if cases.iter().any(|other| other.name == name) {
                return Err(SuiteError::new(place, "there are two cases of this name; give one another `name`"));
            }
            let head: CaseHead = take(&place, table)?;
            let reader =
                CaseReader { folder: &self.folder, place: &place, model: &model, blob: &blob, labels: &labels };
            let samples = reader.samples(&head)?;
            let expect = reader.expect(&head.expect, &samples)?;
            let timeout = seconds(&place, head.timeout.unwrap_or(timeout))?;
            let limits = [&limits[..], &[limits_of(&place, &head.limits)?]].concat();
            cases.push(TestCase { name, samples, expect, timeout, limits });
        }
        let input = match cases.first().and_then(|case| case.samples.first()) {
            Some(input) => input.clone(),
            None => case::noise(&model, 1),
        };
        let outputs = case::twin(&place, &blob, std::slice::from_ref(&input))?.pop().unwrap_or_default();
        Ok(TestModel {
            name,
            may_not_fit: head.may_not_fit,
            skip: head.skip.into_iter().map(|skip| (skip.board, skip.reason)).collect(),
            cases,
            faults: head.faults,
            noise_frames: head.noise_frames.unwrap_or(NOISE_FRAMES),
            probe: Probe { input, outputs },
            timeout: seconds(&place, timeout)?,
            blob,
        })
    }
}

/// Puts a word in place of `{}`, in all that is text.
fn fill_in(value: &mut toml::Value, word: &str) {
    match value {
        toml::Value::String(text) => *text = text.replace("{}", word),
        toml::Value::Array(list) => list.iter_mut().for_each(|value| fill_in(value, word)),
        toml::Value::Table(table) => table.iter_mut().for_each(|(_, value)| fill_in(value, word)),
        _ => {}
    }
}
