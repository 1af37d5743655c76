//! How large runtime and ops may be: bytes of flash at `opt-level = 3`, on the Cortex-M4 and on RV32IMC.
//!
//! `cargo xtask size` fails past these, and so do the tests. They are a little above what was measured when they were
//! set. To raise one, run `cargo xtask size --top 40`, see what grew, and say in the commit what the bytes buy; after
//! making something smaller, lower its limit to what is measured, plus two in a hundred for another compiler.

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

/// Of the runtime with some ops.
pub const PROGRAMS: [Limit; 5] = [
    limit("empty", 9_442, 11_182),
    limit("resnet8", 16_180, 18_575),
    limit("all", 26_763, 30_507),
    limit("offload", 14_457, 15_123),
    limit("engine", 28_013, 25_818),
];

/// Of what an op adds to the runtime if it is the only one. Ops share code, so several take less than their sum.
pub const OPS: [Limit; 18] = [
    limit("Conv2d", 3315, 3513),
    limit("DepthwiseConv2d", 3030, 3358),
    limit("Dense", 2573, 2550),
    limit("Add", 1253, 1567),
    limit("AvgPool2d", 2687, 2432),
    limit("Mean", 1023, 1196),
    limit("Softmax", 1528, 1632),
    limit("MaxPool2d", 1977, 1828),
    limit("Lut", 1161, 1224),
    limit("Concat", 296, 368),
    limit("Reshape", 268, 280),
    limit("Conv2d<Tflite>", 3397, 3526),
    limit("DepthwiseConv2d<Tflite>", 3111, 3373),
    limit("Dense<Tflite>", 2583, 2481),
    limit("Add<Tflite>", 1836, 2471),
    limit("AvgPool2d<Tflite>", 2985, 2306),
    limit("Mean<Tflite>", 1114, 1312),
    limit("Softmax<Tflite>", 2108, 2765),
];
