/// Logs by defmt, or not at all.
macro_rules! log {
    ($($arg:tt)*) => {{
        #[cfg(feature = "defmt")]
        defmt::debug!($($arg)*);
    }};
}

pub(crate) use log;
