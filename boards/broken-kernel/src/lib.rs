//! For tests only: the ops of [`carafe::ops::ALL`], one of them broken on purpose. [`carafe::ops::DepthwiseConv2d`]
//! computes as ever, then one bit is flipped, in [`ROW`], [`COLUMN`] and [`CHANNEL`] of its result.
//!
//! `carafe layer-diff` has to find just that, on the host and in a firmware that is built with the feature
//! `broken-kernel`. The kernels themselves know nothing of it.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use core::marker::PhantomData;

use carafe::arithmetic::{Arithmetic, Native, Tflite};
use carafe::ops::{ALL, DepthwiseConv2d};
use carafe::{Band, Cx, Fault, Kernel, Need, Node, OpCode, OpEntry, Registry};

/// The row with the wrong element.
pub const ROW: u16 = 3;
/// Its column.
pub const COLUMN: u16 = 2;
/// Its channel.
pub const CHANNEL: u16 = 1;
/// What is flipped in it.
pub const BIT: u8 = 0x10;

/// A kernel that makes one wrong element.
#[derive(Debug)]
pub struct Broken<K>(PhantomData<K>);

impl<K: Kernel> Kernel for Broken<K> {
    const CODE: OpCode = K::CODE;
    const VERSION: u8 = K::VERSION;
    const ARITHMETIC: Option<u8> = K::ARITHMETIC;

    fn check(node: &Node<'_>) -> Result<Need, Fault> {
        K::check(node)
    }

    fn placed(node: &Node<'_>) -> Result<(), Fault> {
        K::placed(node)
    }

    fn eval(cx: &mut Cx<'_>, band: Band) -> Option<()> {
        K::eval(cx, band)?;
        if let Band::Produce(y0, y1) = band
            && (y0..y1).contains(&ROW)
            && let Some(byte) =
                cx.out.pixels(ROW).nth(COLUMN.into()).and_then(|pixel| pixel.get_mut(usize::from(CHANNEL)))
        {
            *byte ^= BIT;
        }
        Some(())
    }
}

/// Every op there is, as in [`carafe::ops::ALL`].
pub static OPS: Registry<'static> = Registry::new({
    static ALL: &[OpEntry] = &ENTRIES;
    &ALL
});

static ENTRIES: [OpEntry; COUNT] = entries();

const COUNT: usize = ALL.ops().len();

const fn entries() -> [OpEntry; COUNT] {
    let mut ops = [OpEntry::of::<Broken<DepthwiseConv2d<Native>>>(); COUNT];
    let mut i = 0;
    while i < COUNT {
        let op = ALL.ops()[i];
        ops[i] = match (op.code().0 == OpCode::DepthwiseConv2d.0, op.arithmetic()) {
            (false, _) => op,
            (true, Some(Tflite::ID)) => OpEntry::of::<Broken<DepthwiseConv2d<Tflite>>>(),
            (true, _) => OpEntry::of::<Broken<DepthwiseConv2d<Native>>>(),
        };
        i += 1;
    }
    ops
}

#[cfg(test)]
mod tests {
    use super::OPS;

    #[test]
    fn no_op_is_missing() {
        for op in carafe::ops::ALL.ops() {
            for arithmetic in [0, 1] {
                let find = |ops: carafe::Registry<'static>| ops.find(op.code(), 1, arithmetic).is_some();
                assert_eq!(find(OPS), find(carafe::ops::ALL), "{}", op.code().name());
            }
        }
        assert_eq!(OPS.ops().len(), carafe::ops::ALL.ops().len());
    }
}
