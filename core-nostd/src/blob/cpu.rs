/// The kind of CPU that the weights of a blob are packed for. Every blob runs on every CPU with the same bits; on others
/// than its own, slower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cpu {
    /// No CPU in particular: what suits those best that have no packing of their own.
    #[default]
    Portable,
    /// Cores with the DSP extension: Cortex-M4, M7, M33.
    Dsp,
    /// Cores with Helium: Cortex-M55, M85.
    Helium,
    /// Armv6-M: Cortex-M0, M0+.
    Armv6m,
}

impl Cpu {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Dsp, Self::Helium, Self::Armv6m];

    /// The number that stands in the header of a blob.
    pub const fn code(self) -> u8 {
        match self {
            Self::Portable => 0,
            Self::Dsp => 1,
            Self::Helium => 2,
            Self::Armv6m => 3,
        }
    }

    /// The kind that a number in a header stands for.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|cpu| cpu.code() == code)
    }

    /// The kind of a core by its name, as `cortex-m4`; [`Cpu::Portable`] for cores that have no packing of their own.
    pub fn of_core(core: &str) -> Self {
        match core {
            "cortex-m4" | "cortex-m7" | "cortex-m33" => Self::Dsp,
            "cortex-m55" | "cortex-m85" => Self::Helium,
            "cortex-m0" | "cortex-m0plus" => Self::Armv6m,
            _ => Self::Portable,
        }
    }

    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Dsp => "dsp",
            Self::Helium => "helium",
            Self::Armv6m => "armv6-m",
        }
    }
}
