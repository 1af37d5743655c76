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

/// Of the runtime with some ops.
pub const PROGRAMS: [Limit; 5] = [
    limit("empty", 7_614, 10_542),
    limit("resnet8", 15_353, 18_200),
    limit("all", 27_291, 31_323),
    limit("offload", 12_841, 15_279),
    limit("engine", 26_184, 25_666),
];

/// Of what an op adds to the runtime if it is the only one. Ops share code, so several take less than their sum.
pub const OPS: &[Limit] = &[
    limit("Conv2d", 3784, 3789),
    limit("DepthwiseConv2d", 3268, 3621),
    limit("Dense", 3051, 2759),
    limit("Add", 1351, 1690),
    limit("AvgPool2d", 2898, 2623),
    limit("Mean", 1111, 1362),
    limit("Softmax", 1650, 1760),
    limit("MaxPool2d", 2134, 1971),
    limit("Lut", 1261, 1322),
    limit("Concat", 321, 407),
    limit("Reshape", 289, 319),
    limit("History", 1230, 980),
    limit("Upsample", 779, 942),
    limit("Slice", 792, 1050),
    limit("Mul", 1661, 1998),
    limit("Mul<Tflite>", 1752, 2077),
    limit("SpaceToDepth", 1056, 1171),
    limit("Conv2d<Tflite>", 3874, 3803),
    limit("DepthwiseConv2d<Tflite>", 3355, 3638),
    limit("Dense<Tflite>", 3065, 2695),
    limit("Add<Tflite>", 1980, 2665),
    limit("AvgPool2d<Tflite>", 3219, 2487),
    limit("Mean<Tflite>", 1212, 1415),
    limit("Softmax<Tflite>", 2273, 2982),
];
