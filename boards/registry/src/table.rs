//! The boards. To add one: its entry here, its firmware crate under `boards/`; nothing else names it.

use crate::{Board, Firmware, How, Linker, Machine, Region, RegionKind, SlotRegion, Target};

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
        name: "qemu-microbit",
        cpu: "cortex-m0",
        about: "BBC micro:bit (nRF51822, Cortex-M0), emulated; models of up to 2.5 KB with arenas of up to 2 KB",
        memory: &[
            Region { name: "flash", start: 0x0000_0000, bytes: 256 * KB, kind: RegionKind::Flash },
            Region { name: "RAM", start: 0x2000_0000, bytes: 16 * KB, kind: RegionKind::Ram },
        ],
        how: arm("microbit"),
        target: Some(Target::plain("thumbv6m-none-eabi")),
        firmware: firmware("boards/qemu-microbit", "carafe-qemu-microbit", 10_752),
        bench: false,
    },
    Board {
        name: "qemu-mps2-an385-m0",
        cpu: "cortex-m0plus",
        about: "code for a Cortex-M0+ (Armv6-M, which every Cortex-M runs) on an Arm MPS2 with FPGA image AN385, emulated; \
                the core there is a Cortex-M3",
        memory: &MPS2,
        how: arm("mps2-an385"),
        target: Some(Target::plain("thumbv6m-none-eabi")),
        firmware: None,
        bench: true,
    },
    Board {
        name: "qemu-mps2-an385",
        cpu: "cortex-m3",
        about: "Arm MPS2 with FPGA image AN385 (Cortex-M3), emulated",
        memory: &[MPS2[0], MPS2[1], external("PSRAM", 0x2100_0000)],
        how: arm("mps2-an385"),
        target: Some(Target::plain("thumbv7m-none-eabi")),
        firmware: firmware("boards/qemu-mps2-an385", "carafe-qemu-mps2-an385", 64 * KB),
        bench: true,
    },
    Board {
        name: "qemu-mps2-an386",
        cpu: "cortex-m4",
        about: "Arm MPS2 with FPGA image AN386 (Cortex-M4F), emulated",
        memory: &[MPS2[0], MPS2[1], external("PSRAM", 0x2100_0000)],
        how: arm("mps2-an386"),
        target: Some(Target::plain("thumbv7em-none-eabihf")),
        firmware: firmware("boards/qemu-mps2-an386", "carafe-qemu-mps2-an386", 64 * KB),
        bench: true,
    },
    Board {
        name: "qemu-mps2-an500",
        cpu: "cortex-m7",
        about: "Arm MPS2 with FPGA image AN500 (Cortex-M7F), emulated",
        memory: &[MPS2[0], MPS2[1], external("PSRAM", 0x6000_0000)],
        how: arm("mps2-an500"),
        target: Some(Target::plain("thumbv7em-none-eabihf")),
        firmware: firmware("boards/qemu-mps2-an500", "carafe-qemu-mps2-an500", 64 * KB),
        bench: true,
    },
    Board {
        name: "qemu-mps2-an505",
        cpu: "cortex-m33",
        about: "Arm MPS2 with FPGA image AN505 (Cortex-M33 with FPU and DSP extension), emulated",
        memory: &[
            Region { name: "code", start: 0x1000_0000, bytes: 4 * MB, kind: RegionKind::Flash },
            Region { name: "RAM", start: 0x3800_0000, bytes: 4 * MB, kind: RegionKind::Ram },
            external("PSRAM", 0x8000_0000),
        ],
        how: arm("mps2-an505"),
        target: Some(Target { cpu: Some("cortex-m33"), ..Target::plain("thumbv8m.main-none-eabihf") }),
        firmware: firmware("boards/qemu-mps2-an505", "carafe-qemu-mps2-an505", 64 * KB),
        bench: true,
    },
    Board {
        name: "qemu-mps3-an547",
        cpu: "cortex-m55",
        about: "Arm MPS3 with FPGA image AN547 (Cortex-M55 with Helium), emulated",
        memory: &[
            Region { name: "QSPI flash", start: 0x3800_0000, bytes: 8 * MB, kind: RegionKind::Flash },
            Region { name: "SRAM", start: 0x3100_0000, bytes: 2 * MB, kind: RegionKind::Ram },
            external("DDR", 0x6000_0000),
        ],
        how: arm("mps3-an547"),
        target: Some(Target { cpu: Some("cortex-m55"), ..Target::plain("thumbv8m.main-none-eabihf") }),
        firmware: firmware("boards/qemu-mps3-an547", "carafe-qemu-mps3-an547", 64 * KB),
        bench: true,
    },
    Board {
        name: "qemu-riscv32-virt",
        cpu: "rv32imc",
        about: "QEMU's machine virt with a core RV32IMC",
        memory: &[Region { name: "RAM", start: 0x8000_0000, bytes: 64 * MB, kind: RegionKind::Ram }],
        how: How::Qemu(Machine {
            program: "qemu-system-riscv32",
            debian_package: "qemu-system-misc",
            machine: "virt",
            arguments: &["-bios", "none"],
            semihosting: true,
            // A tick of its clock is 100 ns.
            icount_shift: 7,
        }),
        target: Some(Target::plain("riscv32imc-unknown-none-elf")),
        firmware: firmware("boards/qemu-riscv32-virt", "carafe-qemu-riscv32-virt", 64 * KB),
        bench: true,
    },
    Board {
        name: "qemu-leon3",
        cpu: "leon3",
        about: "QEMU's machine leon3_generic (LEON3, SPARC V8, big-endian)",
        memory: &[Region { name: "RAM", start: 0x4000_0000, bytes: 64 * MB, kind: RegionKind::Ram }],
        how: How::Qemu(Machine {
            program: "qemu-system-sparc",
            debian_package: "qemu-system-sparc",
            machine: "leon3_generic",
            arguments: &[],
            semihosting: false,
            icount_shift: 6,
        }),
        target: Some(Target {
            // That of the target's name can't multiply.
            cpu: Some("leon3"),
            linker: Some(Linker {
                program: "sparc64-linux-gnu-ld",
                debian_package: "binutils-sparc64-linux-gnu",
                arguments: &["-melf32_sparc"],
            }),
            build_std: true,
            ..Target::plain("sparc-unknown-none-elf")
        }),
        firmware: firmware("boards/qemu-leon3", "carafe-qemu-leon3", 64 * KB),
        bench: true,
    },
    Board {
        name: "pico",
        cpu: "cortex-m0plus",
        about: "Raspberry Pi Pico (RP2040, Cortex-M0+)",
        memory: &[
            Region { name: "QSPI flash", start: 0x1000_0000, bytes: 2 * MB, kind: RegionKind::Flash },
            Region { name: "SRAM", start: 0x2000_0000, bytes: 264 * KB, kind: RegionKind::Ram },
        ],
        how: How::Probe { chip: "RP2040", slots: Some(SlotRegion { start: 0x101C_0000, bytes: 128 << 10 }) },
        target: Some(Target::plain("thumbv6m-none-eabi")),
        firmware: firmware("boards/pico", "carafe-pico", 32 * KB),
        bench: false,
    },
    Board {
        name: "nrf52840-dk",
        cpu: "cortex-m4",
        about: "Nordic nRF52840-DK (nRF52840, Cortex-M4F)",
        memory: &[
            Region { name: "flash", start: 0x0000_0000, bytes: MB, kind: RegionKind::Flash },
            Region { name: "RAM", start: 0x2000_0000, bytes: 256 * KB, kind: RegionKind::Ram },
        ],
        how: How::Probe { chip: "nRF52840_xxAA", slots: Some(SlotRegion { start: 0x000C_0000, bytes: 128 << 10 }) },
        target: Some(Target::plain("thumbv7em-none-eabihf")),
        firmware: firmware("boards/nrf52840-dk", "carafe-nrf52840-dk", 32 * KB),
        bench: false,
    },
    Board {
        name: "nucleo-l4r5zi",
        cpu: "cortex-m4",
        about: "ST NUCLEO-L4R5ZI (STM32L4R5ZI, Cortex-M4F), the reference board of MLPerf Tiny",
        memory: &[
            Region { name: "flash", start: 0x0800_0000, bytes: 2 * MB, kind: RegionKind::Flash },
            Region { name: "SRAM", start: 0x2000_0000, bytes: 640 * KB, kind: RegionKind::Ram },
        ],
        how: How::Probe { chip: "STM32L4R5ZITx", slots: Some(SlotRegion { start: 0x0810_0000, bytes: 256 << 10 }) },
        target: Some(Target::plain("thumbv7em-none-eabihf")),
        firmware: firmware("boards/nucleo-l4r5zi", "carafe-nucleo-l4r5zi", 48 * KB),
        bench: false,
    },
    Board {
        name: "nucleo-h743zi",
        cpu: "cortex-m7",
        about: "ST NUCLEO-H743ZI (STM32H743ZI, Cortex-M7F)",
        memory: &[
            Region { name: "flash", start: 0x0800_0000, bytes: 2 * MB, kind: RegionKind::Flash },
            Region { name: "DTCM", start: 0x2000_0000, bytes: 128 * KB, kind: RegionKind::Ram },
            Region { name: "AXI SRAM", start: 0x2400_0000, bytes: 512 * KB, kind: RegionKind::Ram },
        ],
        how: How::Probe { chip: "STM32H743ZITx", slots: Some(SlotRegion { start: 0x0810_0000, bytes: 256 << 10 }) },
        target: Some(Target::plain("thumbv7em-none-eabihf")),
        firmware: firmware("boards/nucleo-h743zi", "carafe-nucleo-h743zi", 32 * KB),
        bench: false,
    },
    Board {
        name: "esp32-c3",
        cpu: "rv32imc",
        about: "Espressif ESP32-C3-DevKitM-1 (ESP32-C3, RV32IMC)",
        memory: &[
            Region { name: "flash", start: 0x0000_0000, bytes: 4 * MB, kind: RegionKind::Flash },
            Region { name: "SRAM", start: 0x3FC8_0000, bytes: 384 * KB, kind: RegionKind::Ram },
        ],
        how: How::Probe { chip: "esp32c3", slots: None },
        target: Some(Target::plain("riscv32imc-unknown-none-elf")),
        firmware: firmware("boards/esp32-c3", "carafe-esp32-c3", 32 * KB),
        bench: false,
    },
];

/// What the images for the MPS2 have alike, of as much as programs there use.
const MPS2: [Region; 2] = [
    Region { name: "code", start: 0x0000_0000, bytes: 4 * MB, kind: RegionKind::Flash },
    Region { name: "RAM", start: 0x2000_0000, bytes: 4 * MB, kind: RegionKind::Ram },
];

/// External RAM, of as much as programs there use.
const fn external(name: &'static str, start: u64) -> Region {
    Region { name, start, bytes: 16 * MB, kind: RegionKind::ExternalRam }
}

const fn arm(machine: &'static str) -> How {
    How::Qemu(Machine {
        program: "qemu-system-arm",
        debian_package: "qemu-system-arm",
        machine,
        arguments: &[],
        semihosting: true,
        icount_shift: 6,
    })
}

const fn firmware(crate_path: &'static str, binary: &'static str, stack_bytes: u64) -> Option<Firmware> {
    Some(Firmware { crate_path, binary, stack_bytes })
}
