//! Text for the debugger's console, without `core::fmt`, which would cost more flash than the rest of the program, and
//! bring panics in.

use cortex_m_semihosting::hio::{self, HostStream};

/// The console; silent if there is none.
pub struct Console {
    host: Option<HostStream>,
}

impl Console {
    /// The console of the debugger or emulator.
    pub fn open() -> Self {
        Self { host: hio::hstdout().ok() }
    }

    /// Writes text.
    pub fn write(&mut self, text: &str) {
        if let Some(host) = &mut self.host {
            // There is no one else to tell that the console is gone.
            let _ = host.write_all(text.as_bytes());
        }
    }

    /// Writes 0.0 to 1.0 as a whole percentage.
    pub fn percent(&mut self, part: f32) {
        const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let percent = (part * 100.0 + 0.5) as usize;
        for (power, always) in [(100, false), (10, false), (1, true)] {
            if always || percent >= power {
                self.write(DIGITS.get(percent / power % 10).copied().unwrap_or("?"));
            }
        }
        self.write(" %");
    }
}
