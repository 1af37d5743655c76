//! The boards. To add one: its entry here, its firmware crate under `boards/`; nothing else names it.

use crate::{Board, Firmware, How, Machine, Region, RegionKind, Target};

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;

pub(crate) static BOARDS: &[Board] = &[
    Board {
        name: "host",
        cpu: "host",
        about: "this computer, by the device's own crate",
        memory: &[],
        how: How::Host,
        target: None,
        firmware: None,
        bench: false,
    },
    Board {
        name: "qemu-mps2-an385-m0",
        cpu: "cortex-m0plus",
        about: "code for a Cortex-M0+ (Armv6-M, which every Cortex-M runs) on an Arm MPS2 with FPGA image AN385, emulated; \
                the core there is a Cortex-M3",
        memory: &MPS2,
        how: arm("mps2-an385"),
        target: Some(Target { triple: "thumbv6m-none-eabi", cpu: None }),
        firmware: None,
        bench: true,
    },
    Board {
        name: "qemu-mps2-an386",
        cpu: "cortex-m4",
        about: "Arm MPS2 with FPGA image AN386 (Cortex-M4F), emulated",
        memory: &[
            MPS2[0],
            MPS2[1],
            Region { name: "PSRAM", start: 0x2100_0000, bytes: 16 * MB, kind: RegionKind::ExternalRam },
        ],
        how: arm("mps2-an386"),
        target: Some(Target { triple: "thumbv7em-none-eabihf", cpu: None }),
        firmware: Some(Firmware {
            crate_path: "boards/qemu-mps2-an386",
            binary: "carafe-qemu-mps2-an386",
            stack_bytes: 64 * KB,
        }),
        bench: true,
    },
    Board {
        name: "qemu-mps2-an500",
        cpu: "cortex-m7",
        about: "Arm MPS2 with FPGA image AN500 (Cortex-M7F), emulated",
        memory: &MPS2,
        how: arm("mps2-an500"),
        target: Some(Target { triple: "thumbv7em-none-eabihf", cpu: None }),
        firmware: None,
        bench: true,
    },
    Board {
        name: "qemu-mps2-an505",
        cpu: "cortex-m33",
        about: "Arm MPS2 with FPGA image AN505 (Cortex-M33 with FPU and DSP extension), emulated",
        memory: &[
            Region { name: "code", start: 0x1000_0000, bytes: 4 * MB, kind: RegionKind::Flash },
            Region { name: "RAM", start: 0x3800_0000, bytes: 4 * MB, kind: RegionKind::Ram },
        ],
        how: arm("mps2-an505"),
        target: Some(Target { triple: "thumbv8m.main-none-eabihf", cpu: Some("cortex-m33") }),
        firmware: None,
        bench: true,
    },
    Board {
        name: "qemu-mps3-an547",
        cpu: "cortex-m55",
        about: "Arm MPS3 with FPGA image AN547 (Cortex-M55 with Helium), emulated",
        memory: &[
            Region { name: "QSPI flash", start: 0x3800_0000, bytes: 8 * MB, kind: RegionKind::Flash },
            Region { name: "SRAM", start: 0x3100_0000, bytes: 2 * MB, kind: RegionKind::Ram },
        ],
        how: arm("mps3-an547"),
        target: Some(Target { triple: "thumbv8m.main-none-eabihf", cpu: Some("cortex-m55") }),
        firmware: None,
        bench: true,
    },
];

/// What the images for the MPS2 have alike, of as much as programs there use.
const MPS2: [Region; 2] = [
    Region { name: "code", start: 0x0000_0000, bytes: 4 * MB, kind: RegionKind::Flash },
    Region { name: "RAM", start: 0x2000_0000, bytes: 4 * MB, kind: RegionKind::Ram },
];

const fn arm(machine: &'static str) -> How {
    How::Qemu(Machine { program: "qemu-system-arm", debian_package: "qemu-system-arm", machine, semihosting: true })
}
