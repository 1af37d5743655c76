//! The boards. To add one: its entry here, its firmware crate under `boards/`; nothing else names it.

use crate::{Board, Firmware, How, Machine, Region, RegionKind};

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;

pub(crate) static BOARDS: &[Board] = &[
    Board {
        name: "host",
        cpu: "host",
        about: "this computer, by the device's own crate",
        memory: &[],
        how: How::Host,
        firmware: None,
    },
    Board {
        name: "qemu-mps2-an386",
        cpu: "cortex-m4",
        about: "Arm MPS2 with FPGA image AN386 (Cortex-M4F), emulated",
        memory: &[
            Region { name: "code", start: 0x0000_0000, bytes: 4 * MB, kind: RegionKind::Flash },
            Region { name: "RAM", start: 0x2000_0000, bytes: 4 * MB, kind: RegionKind::Ram },
            Region { name: "PSRAM", start: 0x2100_0000, bytes: 16 * MB, kind: RegionKind::ExternalRam },
        ],
        how: How::Qemu(Machine {
            program: "qemu-system-arm",
            debian_package: "qemu-system-arm",
            machine: "mps2-an386",
            semihosting: true,
        }),
        firmware: Some(Firmware {
            crate_path: "boards/qemu-mps2-an386",
            binary: "carafe-qemu-mps2-an386",
            target: "thumbv7em-none-eabihf",
            stack_bytes: 64 * KB,
        }),
    },
];
