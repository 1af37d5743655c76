//! TensorFlow Lite Micro on the same cores. Measured once, outside this repository: [`ABOUT`] says how.

/// What the figures are, for the reader of the tables.
pub const ABOUT: &str = "\
TFLM is TensorFlow Lite Micro of 2026-08-20 with the CMSIS-NN that it pins, on the int8 TFLite files of MLPerf Tiny and, of
mobilenet_v2, on an int8 file of the same network. It was measured once, in November 2026, outside this repository:
arm-none-eabi-gcc 12.2 with TFLM's own release flags at each core's best level (`-O2` on M4, M7 and M33, `-O3` on M55 and
M0+); on M0+, M4 and M55 with int8-only registrations where those are smaller, on M7 and M33 with those that TFLM has by
default, which take more flash. One warm `Invoke()` was counted, by a plugin of QEMU 7.2 on the machines that Carafe runs on
here, and agreed with QEMU's own clock. Arena is `arena_used_bytes()`; 580 bytes of interpreter and resolver come on top.
Stack is the peak of `Invoke()`, by painting. Flash is TFLM, CMSIS-NN and the libraries of C that they bring, without model
and harness. On Cortex-M3, RV32IMC and LEON3, for which Carafe has portable loops alone, it was not measured.
";

/// What TFLM takes for a model on a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Guest instructions of one `Invoke()`.
    pub instructions: u64,
    /// `arena_used_bytes()`.
    pub arena: u64,
    /// Peak of `Invoke()`.
    pub stack: u64,
    /// Without the model.
    pub flash: u64,
}

/// What TFLM takes on a Cortex-M4 if it is compiled for flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmallPeer {
    /// Guest instructions of one `Invoke()`.
    pub instructions: u64,
    /// Without the model.
    pub flash: u64,
}

/// The models of the columns below.
const MODELS: [&str; 6] = ["ad", "str_ww", "dscnn_kws", "vww", "resnet8", "mobilenet_v2"];

struct Core {
    cpu: &'static str,
    instructions: [u64; 6],
    arena: [u64; 6],
    stack: [u64; 6],
    flash: [u64; 6],
}

const CORES: [Core; 5] = [
    Core {
        cpu: "cortex-m0plus",
        instructions: [1_763_056, 9_319_130, 29_003_137, 86_878_341, 97_562_030, 2_998_845_897],
        arena: [2_580, 15_300, 22_820, 100_708, 54_980, 1_660_116],
        stack: [620, 868, 756, 756, 844, 844],
        flash: [34_869, 59_230, 61_886, 61_886, 61_938, 66_594],
    },
    Core {
        cpu: "cortex-m4",
        instructions: [582_848, 2_226_937, 7_697_761, 24_101_520, 29_861_419, 797_083_100],
        arena: [2_580, 16_596, 22_820, 100_708, 54_996, 1_660_116],
        stack: [580, 696, 868, 868, 868, 868],
        flash: [26_855, 49_472, 51_990, 51_990, 49_792, 50_746],
    },
    Core {
        cpu: "cortex-m7",
        instructions: [583_218, 2_188_126, 7_643_667, 24_025_500, 30_023_122, 788_377_496],
        arena: [2_580, 16_596, 22_820, 100_708, 54_996, 1_660_116],
        stack: [772, 1_040, 1_244, 1_244, 1_244, 1_244],
        flash: [31_829, 83_189, 86_333, 86_333, 81_249, 85_993],
    },
    Core {
        cpu: "cortex-m33",
        instructions: [583_366, 2_220_974, 7_680_182, 24_046_682, 29_959_947, 795_261_895],
        arena: [2_580, 16_596, 22_820, 100_708, 54_996, 1_660_116],
        stack: [792, 1_048, 1_268, 1_268, 1_268, 1_268],
        flash: [33_737, 84_382, 87_554, 87_554, 82_230, 86_342],
    },
    Core {
        cpu: "cortex-m55",
        instructions: [149_893, 410_430, 1_785_151, 6_433_086, 4_809_286, 174_774_815],
        arena: [9_268, 19_956, 27_348, 100_772, 55_028, 1_664_644],
        stack: [728, 996, 996, 996, 920, 996],
        flash: [23_297, 46_933, 50_293, 50_293, 48_785, 54_333],
    },
];

const SMALL_INSTRUCTIONS: [u64; 6] = [843_334, 2_556_732, 9_225_503, 28_556_459, 41_072_042, 928_410_781];
const SMALL_FLASH: [u64; 6] = [21_645, 42_674, 44_724, 44_724, 41_864, 46_350];

/// TFLM on a core, if it was measured there.
pub fn find(model: &str, cpu: &str) -> Option<Peer> {
    let i = MODELS.iter().position(|name| *name == model)?;
    let core = CORES.iter().find(|core| core.cpu == cpu)?;
    let [instructions, arena, stack, flash] =
        [core.instructions, core.arena, core.stack, core.flash].map(|column| column[i]);
    Some(Peer { instructions, arena, stack, flash })
}

/// True if TFLM was measured on a core.
pub fn has(cpu: &str) -> bool {
    CORES.iter().any(|core| core.cpu == cpu)
}

/// TFLM with `-Os` on a Cortex-M4.
pub fn small(model: &str) -> Option<SmallPeer> {
    let i = MODELS.iter().position(|name| *name == model)?;
    Some(SmallPeer { instructions: SMALL_INSTRUCTIONS[i], flash: SMALL_FLASH[i] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::models;

    #[test]
    fn every_model_has_a_peer_on_every_core_that_is_measured() {
        for source in &models::ALL {
            for board in crate::bench::known().filter(|board| has(board.cpu)) {
                assert!(find(source.name, board.cpu).is_some(), "{} on {}", source.name, board.cpu);
            }
            assert!(small(source.name).is_some());
        }
        assert_eq!(find("resnet8", "cortex-m4").unwrap().instructions, 29_861_419);
        assert!(find("resnet8", "host").is_none() && find("nonesuch", "cortex-m4").is_none());
    }
}
