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

/// Of the runtime with some ops. The first is still to come below 6,144 on the Cortex-M4.
pub const PROGRAMS: [Limit; 5] = [
    limit("empty", 7_614, 10_542),
    limit("resnet8", 15_353, 18_200),
    limit("all", 27_291, 31_323),
    limit("offload", 12_841, 15_279),
    limit("engine", 26_184, 25_666),
];

/// Of what an op adds to the runtime if it is the only one. Ops share code, so several take less than their sum.
pub const OPS: [Limit; 19] = [
    limit("Conv2d", 3583, 3797),
    limit("DepthwiseConv2d", 3271, 3634),
    limit("Dense", 2800, 2778),
    limit("Add", 2162, 1716),
    limit("AvgPool2d", 2897, 2635),
    limit("Mean", 1119, 1313),
    limit("Softmax", 2479, 1766),
    limit("MaxPool2d", 2134, 1977),
    limit("Lut", 2083, 1326),
    limit("Concat", 308, 391),
    limit("Reshape", 294, 299),
    limit("History", 1232, 987),
    limit("Conv2d<Tflite>", 3671, 3810),
    limit("DepthwiseConv2d<Tflite>", 3359, 3649),
    limit("Dense<Tflite>", 2809, 2703),
    limit("Add<Tflite>", 2791, 2690),
    limit("AvgPool2d<Tflite>", 3214, 2499),
    limit("Mean<Tflite>", 1221, 1436),
    limit("Softmax<Tflite>", 3104, 2987),
];
