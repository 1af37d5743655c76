//! A second scratch memory, and weights apart from the blob: the same bits.

use carafe::blob::{CRC_FROM, Header, crc32, region};
use carafe::record::Record;
use carafe::{BlobError, Memory, Model, Session};
use carafe_converter::lower::Lowered;
use carafe_converter::plan::PlanOptions;
use carafe_converter::{split, twin};
use carafe_graph::{Activation, PoolKind};

use super::device::{blob, inputs, run};
use super::model::Model as Net;

/// Convolutions, a residual, a pool, and a reduction with its accumulator.
pub fn net() -> Lowered {
    let mut m = Net::new(7);
    let x = m.input(&[1, 16, 12, 3]);
    let a = m.conv3(x, 8);
    let b = m.conv3(a, 8);
    let c = m.conv3(b, 8);
    let d = m.add(a, c, Activation::Relu);
    let p = m.pool(d, PoolKind::Max, 2, 2, 0);
    let e = m.conv3(p, 12);
    let mean = m.mean(e, false);
    let y = m.dense(mean, 5, Activation::None);
    m.output(y);
    m.lower().1
}

#[test]
fn what_is_hot_lies_in_fast_memory_and_the_bits_stay() {
    let lowered = net();
    let data = inputs(&lowered, 3);
    let (plain, reference) = blob(&lowered, &PlanOptions::default());
    let want = run(&reference, &data).outputs;
    assert_eq!((plain.fast_bytes, plain.state_bytes), (0, 0));
    let mut arenas = vec![plain.arena_bytes];
    for (capacity, push_rows) in [(64, false), (300, true), (700, false), (1500, true), (1 << 20, false)] {
        let options = PlanOptions { push_rows, fast_bytes: Some(capacity), ..PlanOptions::default() };
        let (plan, blob) = blob(&lowered, &options);
        assert!(plan.fast_bytes <= capacity, "{} of {capacity}", plan.fast_bytes);
        let model = Model::verify(&blob, carafe::ops::ALL).unwrap();
        assert_eq!((model.arena_bytes(), model.fast_bytes()), (plan.arena_bytes as usize, plan.fast_bytes as usize));
        let once = |paint: u8| {
            let mut main = vec![paint; model.arena_bytes() + 32];
            let mut fast = vec![paint; model.fast_bytes() + 32];
            let mut session = Session::new(model);
            let memory = Memory { main: &mut main, fast: &mut fast };
            let outputs = twin::run_in(&mut session, memory, &data, ()).unwrap();
            let behind = main[model.arena_bytes()..].iter().chain(&fast[model.fast_bytes()..]);
            assert!(behind.into_iter().all(|&b| b == paint), "a byte outside a region was written");
            outputs
        };
        assert_eq!(once(0xA5), want, "{capacity}");
        assert_eq!(once(0x5A), want, "{capacity}");
        // To the byte, in both.
        let (mut main, mut fast) = (vec![0; model.arena_bytes()], vec![0; model.fast_bytes()]);
        let mut session = Session::new(model);
        let mut run = session.start_in(Memory { main: &mut main, fast: &mut fast }, ()).unwrap();
        if run.input(0).is_ok() {
            run.set_input(0, &data[0]).unwrap();
        }
        let row = 12 * 3;
        let mut at = 0;
        while run.run().is_err() {
            run.push_rows(0, &data[0][at..at + row]).unwrap();
            at += row;
        }
        assert_eq!(run.high_water(), plan.arena_bytes as usize, "{capacity}");
        assert_eq!(run.high_water_in(region::FAST), plan.fast_bytes as usize, "{capacity}");
        if !push_rows {
            arenas.push(plan.arena_bytes);
        }
    }
    // The more fast memory, the less of the other.
    assert!(arenas.is_sorted_by(|a, b| a >= b), "{arenas:?}");
    assert!(arenas.last() < arenas.first(), "{arenas:?}");
}

#[test]
fn weights_apart_give_the_same_bits_and_only_their_own() {
    let lowered = net();
    let data = inputs(&lowered, 3);
    let (_, whole) = blob(&lowered, &PlanOptions::default());
    let (head, weights) = split::split(&whole).unwrap();
    assert!(head.len() + weights.len() < whole.len() + 64 && weights == lowered.consts);
    assert_eq!(split::join(&head, &weights).unwrap(), whole);
    assert!(split::is_split(&head) && !split::is_split(&whole));

    let answer = |model: Model<'_>| {
        let mut arena = vec![0; model.arena_bytes()];
        twin::run(&mut Session::new(model), &mut arena, &data, ()).unwrap()
    };
    let padded = [&weights[..], &[0xFF; 100]].concat();
    let model = Model::verify_split(&head, &padded, carafe::ops::ALL).unwrap();
    assert_eq!(model.weights_bytes(), weights.len());
    assert_eq!(answer(model), answer(Model::verify(&whole, carafe::ops::ALL).unwrap()));

    let refused = |head: &[u8], weights: &[u8]| Model::verify_split(head, weights, carafe::ops::ALL).err();
    let need = weights.len() as u32;
    let short = |have| Some(BlobError::WeightsTooShort { need, have });
    assert_eq!(refused(&head, &weights[..weights.len() - 1]), short(need - 1));
    assert_eq!(Model::verify(&head, carafe::ops::ALL).err(), short(0));
    let mut damaged = weights.clone();
    damaged[weights.len() / 2] ^= 1;
    assert_eq!(refused(&head, &damaged), Some(BlobError::WeightsCrc));
    assert_eq!(refused(&head, &vec![0; weights.len()]), Some(BlobError::WeightsCrc));
    // A head that has its own weights as well contradicts itself.
    let mut both = head.clone();
    let table = Header::SIZE..Header::SIZE + 12 * usize::from(Header::read(&head).unwrap().sections);
    let golden = both[table.clone()].chunks(12).position(|e| e[0] == 8).unwrap();
    both[table.start + 12 * golden] = 6;
    let crc = crc32(&both[CRC_FROM..]);
    both[CRC_FROM - 4..CRC_FROM].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(refused(&both, &weights), Some(BlobError::Section { id: 6 }));
    // What is no split blob does not look at weights, and can be joined with nothing.
    assert_eq!(refused(&whole, &[]), None);
    assert_eq!(split::join(&whole, &[]).unwrap(), whole);
    assert!(split::join(&head, &damaged).is_err() && split::split(&head).is_err());
}
