use crate::{Band, Cx, Fault, Kernel, Need, Node, OpCode};

/// One op of a registry: the functions of a [`Kernel`] type.
#[derive(Clone, Copy, Debug)]
pub struct OpEntry {
    pub(crate) code: OpCode,
    pub(crate) version: u8,
    pub(crate) arithmetic: Option<u8>,
    pub(crate) check: fn(&Node<'_>) -> Result<Need, Fault>,
    pub(crate) need: fn(&Node<'_>) -> Result<Need, Fault>,
    pub(crate) placed: fn(&Node<'_>) -> Result<(), Fault>,
    pub(crate) eval: fn(&mut Cx<'_>, Band) -> Option<()>,
}

impl OpEntry {
    /// The entry of a kernel.
    pub const fn of<K: Kernel>() -> Self {
        Self {
            code: K::CODE,
            version: K::VERSION,
            arithmetic: K::ARITHMETIC,
            check: K::check,
            need: K::need,
            placed: K::placed,
            eval: K::eval,
        }
    }

    /// As [`OpEntry::of`], for a blob that has been verified when the program was compiled: what proves nodes is not linked.
    #[doc(hidden)]
    pub const fn proven<K: Kernel>() -> Self {
        Self { check: K::need, placed: |_| Ok(()), ..Self::of::<K>() }
    }

    /// Number of the op.
    pub const fn code(&self) -> OpCode {
        self.code
    }

    /// See [`Kernel::ARITHMETIC`].
    pub const fn arithmetic(&self) -> Option<u8> {
        self.arithmetic
    }

    /// See [`Kernel::check`].
    pub fn check(&self, node: &Node<'_>) -> Result<Need, Fault> {
        (self.check)(node)
    }
}

/// The ops that a program links: a table, searched once per step. Made by [`crate::registry!`].
#[derive(Clone, Copy, Debug)]
pub struct Registry<'r> {
    /// Of one word: with two, a model would be too large to be moved without `memcpy`.
    ops: &'r &'r [OpEntry],
}

impl<'r> Registry<'r> {
    /// Of a table.
    pub const fn new(ops: &'r &'r [OpEntry]) -> Self {
        Self { ops }
    }

    /// The entry for an op, a record version, and the arithmetic of a blob.
    pub fn find(&self, code: OpCode, version: u8, arithmetic: u8) -> Option<&'r OpEntry> {
        self.ops.iter().find(|e| e.code == code && e.version == version && e.arithmetic.is_none_or(|a| a == arithmetic))
    }

    /// All entries.
    pub const fn ops(&self) -> &'r [OpEntry] {
        self.ops
    }
}

/// A [`Registry`] of the kernels named: `registry![Conv2d, DepthwiseConv2d, Softmax]`. What is not named is not
/// linked.
///
/// ```
/// use carafe::ops::{Conv2d, Softmax};
/// static OPS: carafe::Registry<'static> = carafe::registry![Conv2d, Softmax];
/// assert_eq!(OPS.ops().len(), 2);
/// ```
#[macro_export]
macro_rules! registry {
    ($($kernel:ty),* $(,)?) => {
        $crate::Registry::new(const { &(&[$($crate::OpEntry::of::<$kernel>()),*] as &[$crate::OpEntry]) })
    };
}
