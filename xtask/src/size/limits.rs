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
    limit("empty", 6_144, 7_143),
    limit("verifier", 2_472, 3_476),
    limit("resnet8", 17_430, 14_603),
    limit("all", 54_130, 43_781),
    limit("offload", 10_351, 11_800),
    limit("engine", 26_292, 24_478),
];

/// Of what an op adds to the runtime if it is the only one. Ops share code, so several take less than their sum.
pub const OPS: &[Limit] = &[
    limit("Conv2d", 15070, 7093),
    limit("DepthwiseConv2d", 12276, 5821),
    limit("Dense", 7537, 5823),
    limit("Add", 1852, 1734),
    limit("AvgPool2d", 2852, 2533),
    limit("Mean", 1408, 1683),
    limit("Softmax", 1738, 1782),
    limit("MaxPool2d", 2141, 1901),
    limit("Lut", 1349, 1351),
    limit("Concat", 308, 403),
    limit("Reshape", 280, 317),
    limit("History", 1237, 988),
    limit("Upsample", 819, 931),
    limit("Slice", 847, 1052),
    limit("Mul", 1677, 1939),
    limit("Mul<Tflite>", 1776, 2099),
    limit("SpaceToDepth", 1081, 1175),
    limit("Conv2d<Tflite>", 7300, 6241),
    limit("DepthwiseConv2d<Tflite>", 4356, 4728),
    limit("Dense<Tflite>", 7502, 5762),
    limit("Add<Tflite>", 2005, 2634),
    limit("AvgPool2d<Tflite>", 3219, 2429),
    limit("Mean<Tflite>", 1509, 1725),
    limit("Softmax<Tflite>", 2330, 3006),
];
