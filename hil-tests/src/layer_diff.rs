//! Holds two targets against each other row by row: the first row that they make different names the op that is wrong,
//! for all that it was made of agreed.

use std::collections::BTreeSet;
use std::time::Duration;

use carafe::Model;
use carafe_protocol::Observe;

use crate::Error;
use crate::suite::Difference;
use crate::target::{Case, LoadedModel, Outcome, RowRecord, Target};

/// What came of holding two targets against each other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerDiff {
    /// Samples that agreed.
    pub samples: usize,
    /// Rows that agreed, in all samples, up to the first that did not.
    pub rows: usize,
    /// Nodes that made these rows.
    pub nodes: usize,
    /// The first difference.
    pub finding: Finding,
}

/// The first difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// There is none.
    Same,
    /// A row has other bytes.
    Row(RowDifference),
    /// The targets do not make the same rows in the same order: they do not run the same plan.
    Order(OrderDifference),
    /// All rows agree when they are made, but an output does not in the end: something has written over it.
    Output(Difference),
}

/// The first row with other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RowDifference {
    /// The sample, from 0.
    pub sample: usize,
    /// The node that made it, as the blob numbers them.
    pub node: u16,
    /// The row.
    pub row: u16,
    /// CRC-32 of it on each target.
    pub crcs: [u32; 2],
    /// Its first element that differs; `None` if the row agreed when it was made a second time: a target does not give
    /// the same bits twice.
    pub element: Option<ElementDifference>,
}

/// The first element that differs in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ElementDifference {
    /// Its column.
    pub column: u16,
    /// Its channel.
    pub channel: u16,
    /// What it is on each target.
    pub values: [i8; 2],
    /// Elements of the row that differ.
    pub differing: usize,
    /// Elements of the row.
    pub elements: usize,
}

/// Where the order of rows differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrderDifference {
    /// The sample, from 0.
    pub sample: usize,
    /// Rows that came before.
    pub at: usize,
    /// Node and row on each target; `None` if it made no more.
    pub rows: [Option<(u16, u16)>; 2],
}

impl LayerDiff {
    /// Runs a model on two targets, sample by sample (of each, its input tensors), until something differs. Samples of a
    /// model with state are steps of one sequence. Each inference may take `limit`.
    ///
    /// A first run of a sample compares the CRC of every row that any node makes; if one differs, a second run fetches
    /// the bytes of its node.
    ///
    /// # Errors
    /// The model does not verify or fit a target, a sample does not fit the model, or a target does not answer.
    pub fn run(
        targets: &mut [Box<dyn Target>; 2],
        blob: &[u8],
        samples: &[Vec<Vec<u8>>],
        limit: Duration,
    ) -> Result<Self, Error> {
        let mut pair = Pair { targets, blob, limit, has_state: false };
        pair.load()?;
        let mut diff = Self { samples: 0, rows: 0, nodes: 0, finding: Finding::Same };
        let mut nodes = BTreeSet::new();
        for sample in 0..samples.len() {
            let [a, b] = pair.exec(samples, sample, Observe::Digests)?;
            let agreed = agreement(&a.rows, &b.rows);
            diff.rows += agreed;
            nodes.extend(a.rows.iter().take(agreed).map(|row| row.node));
            diff.nodes = nodes.len();
            diff.finding = match (a.rows.get(agreed), b.rows.get(agreed)) {
                (None, None) => {
                    Difference::first(sample, &a.outputs, &b.outputs).map_or(Finding::Same, Finding::Output)
                }
                (Some(a), Some(b)) if place(a) == place(b) => {
                    let (node, row, crcs) = (a.node, a.row, [a.crc, b.crc]);
                    let element = pair.element(samples, sample, node, row)?;
                    Finding::Row(RowDifference { sample, node, row, crcs, element })
                }
                (a, b) => Finding::Order(OrderDifference { sample, at: agreed, rows: [a.map(place), b.map(place)] }),
            };
            if diff.finding != Finding::Same {
                break;
            }
            diff.samples += 1;
        }
        Ok(diff)
    }

    /// True if nothing differs.
    pub fn is_same(&self) -> bool {
        self.finding == Finding::Same
    }
}

fn place(record: &RowRecord) -> (u16, u16) {
    (record.node, record.row)
}

/// Rows that agree, from the first on.
fn agreement(a: &[RowRecord], b: &[RowRecord]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| place(a) == place(b) && a.crc == b.crc).count()
}

/// The first element that differs between two rows of `channels` channels, of the same length.
fn first_element(a: &[u8], b: &[u8], channels: u16) -> Option<ElementDifference> {
    let mut differing = a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b);
    let (at, (a0, b0)) = differing.next()?;
    let (column, channel) = (at / usize::from(channels.max(1)), at % usize::from(channels.max(1)));
    Some(ElementDifference {
        column: u16::try_from(column).unwrap_or(u16::MAX),
        channel: u16::try_from(channel).unwrap_or(u16::MAX),
        values: [a0, b0].map(|byte| i8::from_le_bytes([*byte])),
        differing: 1 + differing.count(),
        elements: a.len(),
    })
}

/// Two targets with the same model.
struct Pair<'t> {
    targets: &'t mut [Box<dyn Target>; 2],
    blob: &'t [u8],
    limit: Duration,
    has_state: bool,
}

impl Pair<'_> {
    /// Puts the model on both; its state begins reset.
    fn load(&mut self) -> Result<(), Error> {
        for target in &mut *self.targets {
            let LoadedModel { state_bytes, .. } = target.load(self.blob)?;
            self.has_state |= state_bytes > 0;
        }
        Ok(())
    }

    /// Runs one sample on both. Of a model with state, the samples before it have been run.
    fn exec(&mut self, samples: &[Vec<Vec<u8>>], sample: usize, observe: Observe) -> Result<[Outcome; 2], Error> {
        let inputs: Vec<&[u8]> = samples.get(sample).into_iter().flatten().map(Vec::as_slice).collect();
        let case = Case::of(&inputs).observed(observe);
        let has_state = self.has_state;
        let one = |target: &mut Box<dyn Target>| {
            let outcome = target.exec(&case, self.limit)?;
            // A board begins afresh with its model, but without what came before.
            let lost = outcome.restarted && has_state && sample > 0;
            if lost { Err(Error::StateLost { board: target.id().to_owned() }) } else { Ok(outcome) }
        };
        let [a, b] = &mut *self.targets;
        Ok([one(a)?, one(b)?])
    }

    /// Makes a row of a sample once more, and looks for its first element that differs.
    fn element(
        &mut self,
        samples: &[Vec<Vec<u8>>],
        sample: usize,
        node: u16,
        row: u16,
    ) -> Result<Option<ElementDifference>, Error> {
        let refused = |source| Error::Blob { board: self.targets[0].id().to_owned(), source };
        let model = Model::verify(self.blob, carafe::ops::ALL).map_err(refused)?;
        let (width, channels) = model.tensor(node).map_or((0, 0), |t| (t.w, t.c));
        let bytes = usize::from(width) * usize::from(channels);
        if self.has_state {
            self.load()?;
            for before in 0..sample {
                self.exec(samples, before, Observe::Nothing)?;
            }
        }
        let outcomes = self.exec(samples, sample, Observe::Node { node })?;
        let find = |(outcome, board): (&Outcome, &str)| {
            let found = outcome.rows.iter().find(|record| place(record) == (node, row) && record.data.len() == bytes);
            let confused = || Error::Confused { board: board.to_owned(), during: "reading a row" };
            found.map(|record| record.data.clone()).ok_or_else(confused)
        };
        let boards = self.targets.iter().map(|target| target.id());
        let rows = outcomes.iter().zip(boards).map(find).collect::<Result<Vec<_>, _>>()?;
        Ok(match &rows[..] {
            [a, b] => first_element(a, b, channels),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Host;
    use crate::sample::Sample;

    const LIMIT: Duration = Duration::from_secs(10);

    fn record(node: u16, row: u16, crc: u32) -> RowRecord {
        RowRecord { node, row, crc, data: Vec::new() }
    }

    #[test]
    fn rows_agree_up_to_the_first_that_does_not() {
        let rows = [record(0, 0, 7), record(1, 0, 8), record(0, 1, 9)];
        assert_eq!(agreement(&rows, &rows), 3);
        assert_eq!(agreement(&rows, &rows[..2]), 2);
        assert_eq!(agreement(&rows, &[record(0, 0, 7), record(1, 0, 9)]), 1);
        assert_eq!(agreement(&rows, &[record(0, 1, 7)]), 0);
        assert_eq!(agreement(&rows, &[record(1, 0, 7)]), 0);
    }

    #[test]
    fn the_first_element_has_a_column_and_a_channel() {
        let a = [0u8, 1, 2, 3, 4, 5, 6];
        assert_eq!(first_element(&a, &a, 3), None);
        let b = [0u8, 1, 2, 3, 0xFF, 5, 7];
        let found = first_element(&a, &b, 3).unwrap();
        assert_eq!((found.column, found.channel, found.values), (1, 1, [4, -1]));
        assert_eq!((found.differing, found.elements), (2, 7));
    }

    /// A host that spoils what it reports: `spoil` is told the number of the run.
    struct Spoilt<F> {
        host: Host,
        runs: usize,
        spoil: F,
    }

    impl<F: FnMut(usize, &mut Outcome)> Target for Spoilt<F> {
        fn id(&self) -> &str {
            "spoilt"
        }

        fn load(&mut self, model: &[u8]) -> Result<LoadedModel, Error> {
            self.host.load(model)
        }

        fn exec(&mut self, case: &Case<'_>, limit: Duration) -> Result<Outcome, Error> {
            let mut outcome = self.host.exec(case, limit)?;
            (self.spoil)(self.runs, &mut outcome);
            self.runs += 1;
            Ok(outcome)
        }
    }

    fn against(spoil: impl FnMut(usize, &mut Outcome) + 'static) -> Result<LayerDiff, Error> {
        let sample = Sample::new(4, 3, 2, 5);
        let inputs = [vec![vec![1; sample.bytes()]], vec![vec![2; sample.bytes()]]];
        let spoilt = Spoilt { host: Host::new(), runs: 0, spoil };
        LayerDiff::run(&mut [Box::new(Host::new()), Box::new(spoilt)], &sample.blob(), &inputs, LIMIT)
    }

    #[test]
    fn targets_that_agree_are_told_so() {
        let diff = against(|_, _| ()).unwrap();
        assert!(diff.is_same());
        assert_eq!((diff.samples, diff.rows, diff.nodes), (2, 8, 1));
    }

    #[test]
    fn a_row_that_differs_is_fetched() {
        let diff = against(|_, outcome| {
            if outcome.outputs[0][0] == 7 {
                let row = &mut outcome.rows[2];
                row.crc ^= 1;
                row.data.iter_mut().skip(3).for_each(|byte| *byte += 1);
            }
        });
        let diff = diff.unwrap();
        assert_eq!((diff.samples, diff.rows, diff.nodes), (1, 6, 1));
        let Finding::Row(found) = diff.finding else { panic!("{diff:?}") };
        assert_eq!((found.sample, found.node, found.row), (1, 0, 2));
        let element = found.element.unwrap();
        assert_eq!((element.column, element.channel, element.values), (1, 1, [7, 8]));
        assert_eq!((element.differing, element.elements), (3, 6));
    }

    #[test]
    fn a_row_that_is_right_the_second_time_is_no_kernels_fault() {
        let diff = against(|run, outcome| outcome.rows[1].crc ^= u32::from(run == 0)).unwrap();
        assert!(matches!(diff.finding, Finding::Row(RowDifference { row: 1, element: None, .. })), "{diff:?}");
    }

    #[test]
    fn another_order_or_number_of_rows_is_another_plan() {
        let diff = against(|_, outcome| outcome.rows.swap(1, 2)).unwrap();
        let want = OrderDifference { sample: 0, at: 1, rows: [Some((0, 1)), Some((0, 2))] };
        assert_eq!(diff.finding, Finding::Order(want));
        let diff = against(|_, outcome| drop(outcome.rows.pop())).unwrap();
        let want = OrderDifference { sample: 0, at: 3, rows: [Some((0, 3)), None] };
        assert_eq!(diff.finding, Finding::Order(want));
    }

    #[test]
    fn an_output_that_is_spoilt_after_it_was_made_is_found() {
        let diff = against(|_, outcome| outcome.outputs[0][5] ^= 1).unwrap();
        assert!(matches!(diff.finding, Finding::Output(Difference { case: 0, output: 0, byte: 5, .. })), "{diff:?}");
    }

    #[test]
    fn a_row_of_another_length_is_an_answer_of_another_version() {
        let error = against(|_, outcome| {
            outcome.rows[0].crc ^= 1;
            outcome.rows[0].data.pop();
        });
        assert!(matches!(error, Err(Error::Confused { .. })), "{error:?}");
    }
}
