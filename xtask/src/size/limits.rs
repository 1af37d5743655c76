//! How large runtime and ops may be: bytes of flash at `opt-level = 3`, on the Cortex-M4 and on RV32IMC.
//!
//! `cargo xtask size` fails past these, and so do the tests. They are a little above what was measured when they were
//! set. To raise one, run `cargo xtask size --top 40`, see what grew, and say in the commit what the bytes buy; after
//! making something smaller, lower its limit to what is measured, plus five in a hundred for another compiler. Of a single
//! op it is ten: what the optimizer inlines depends even on the folder that it works in.

/// What may be how large.
#[derive(Debug)]
pub struct Limit {
    /// A program of `boards/size`, or an op as `registry!` takes it.
    pub name: &'static str,
    /// Bytes on each of the targets.
    pub bytes: [u64; 2],
}

const fn limit(name: &'static str, m4: u64, rv32: u64) -> Limit {
    Limit { name, bytes: [m4, rv32] }
}

/// Of the runtime with some ops, as `xtask size` says what it counts.
pub const PROGRAMS: [Limit; 6] = [
    // On the Cortex-M4 what is promised, 6 KB.
    limit("empty", 6_144, 7_462),
    limit("verifier", 2_694, 3_740),
    limit("resnet8", 20_216, 15_748),
    limit("all", 58_331, 46_003),
    limit("offload", 10_351, 11_800),
    limit("engine", 26_292, 24_478),
];

/// Of what an op adds to the runtime if it is the only one. Ops share code, so several take less than their sum.
pub const OPS: &[Limit] = &[
    limit("Conv2d", 22704, 9431),
    limit("DepthwiseConv2d", 13552, 5780),
    limit("Dense", 10470, 7678),
    limit("Add", 1890, 1870),
    limit("AvgPool2d", 2955, 2618),
    limit("Mean", 1268, 1732),
    limit("Softmax", 1532, 1686),
    limit("MaxPool2d", 2031, 2053),
    limit("Lut", 1386, 1391),
    limit("Concat", 451, 627),
    limit("Reshape", 469, 553),
    limit("History", 1481, 1246),
    limit("Upsample", 993, 1177),
    limit("Slice", 1012, 1331),
    limit("Mul", 1681, 1943),
    limit("Mul<Tflite>", 1780, 2104),
    limit("SpaceToDepth", 1254, 1430),
    limit("Conv2d<Tflite>", 9134, 8246),
    limit("DepthwiseConv2d<Tflite>", 3927, 4328),
    limit("Dense<Tflite>", 9040, 8012),
    limit("Add<Tflite>", 2075, 2706),
    limit("AvgPool2d<Tflite>", 3287, 2533),
    limit("Mean<Tflite>", 1369, 1774),
    limit("Softmax<Tflite>", 2368, 3045),
];
