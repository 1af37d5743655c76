//! The boards. To add one: its entry here, its firmware crate under `boards/`; nothing else names it.

use crate::{Board, Firmware, How, Machine, Region, RegionKind, SlotRegion, Target};

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
        firmware: Some(Firmware { crate_path: "boards/pico", binary: "carafe-pico", stack_bytes: 32 * KB }),
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
        firmware: Some(Firmware {
            crate_path: "boards/nrf52840-dk",
            binary: "carafe-nrf52840-dk",
            stack_bytes: 32 * KB,
        }),
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
        firmware: Some(Firmware {
            crate_path: "boards/nucleo-l4r5zi",
            binary: "carafe-nucleo-l4r5zi",
            stack_bytes: 48 * KB,
        }),
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
        firmware: Some(Firmware {
            crate_path: "boards/nucleo-h743zi",
            binary: "carafe-nucleo-h743zi",
            stack_bytes: 32 * KB,
        }),
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
        firmware: Some(Firmware { crate_path: "boards/esp32-c3", binary: "carafe-esp32-c3", stack_bytes: 32 * KB }),
        bench: false,
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
