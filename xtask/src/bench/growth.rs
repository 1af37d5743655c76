//! How instructions and memory grow with the input and with the channels: a network made here, in sizes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use carafe_boards::Board;
use serde::Serialize;

use super::tool::{Counted, Tool};
use super::{ir, npy};

/// Rows and columns of the input, and channels of the maps.
const SIZES: [(usize, usize); 4] = [(16, 16), (32, 16), (64, 16), (128, 16)];
const CHANNELS: [(usize, usize); 4] = [(32, 8), (32, 16), (32, 32), (32, 64)];
/// Samples to calibrate with. What they are changes no count.
const SAMPLES: usize = 4;
/// Ranges without a search: they change no count either.
pub const QUICKLY: [&str; 4] = ["--observer", "minmax", "--bias-correction", "off"];

/// Networks that differ in one thing.
#[derive(Debug, Serialize)]
pub struct Growth {
    /// Where it was counted.
    pub board: &'static str,
    /// Larger and larger inputs.
    pub sizes: Vec<Point>,
    /// More and more channels.
    pub channels: Vec<Point>,
}

/// One of them.
#[derive(Debug, Serialize)]
pub struct Point {
    /// Rows, and columns.
    pub size: usize,
    /// Of every map but the input.
    pub channels: usize,
    /// Rows pushed.
    pub counted: Counted,
}

impl Point {
    /// Bytes of a row of a map.
    pub fn row_bytes(&self) -> u64 {
        (self.size * self.channels) as u64
    }

    /// Bytes of a whole map.
    pub fn map_bytes(&self) -> u64 {
        self.size as u64 * self.row_bytes()
    }
}

/// Measures all.
pub fn measure(tool: &Tool, folder: &Path, board: &'static Board) -> Result<Growth> {
    let all = |sweep: &[(usize, usize)]| -> Result<Vec<Point>> {
        sweep.iter().map(|&at| point(tool, folder, board, at)).collect()
    };
    Ok(Growth { board: board.name, sizes: all(&SIZES)?, channels: all(&CHANNELS)? })
}

fn point(tool: &Tool, folder: &Path, board: &'static Board, (size, channels): (usize, usize)) -> Result<Point> {
    eprintln!("  {size}×{size}, {channels} channels, on {}", board.name);
    let file = |extension: &str| folder.join(format!("growth_{size}_{channels}")).with_extension(extension);
    let (xml, bin) = ir::network(size, channels);
    for (path, content) in [(file("xml"), xml.as_bytes()), (file("bin"), &bin)] {
        fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    let shape = [SAMPLES, ir::INPUT_CHANNELS, size, size];
    npy::write(&file("npy"), &shape, &ir::noise(7, shape.iter().product()))?;
    let arguments =
        [&file("xml").display().to_string(), "--calibration", &file("npy").display().to_string()].map(str::to_owned);
    let blob = file("carafe");
    tool.convert(&arguments, &[&QUICKLY[..], &["--push-rows", "--board", board.name]].concat(), &blob)?;
    Ok(Point { size, channels, counted: tool.bench(&blob, board, &[])? })
}
