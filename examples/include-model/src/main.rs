//! Recognizes a digit drawn in a text file: what a microcontroller would do with the same model, here on a computer.
#![forbid(unsafe_code)]

use std::error::Error;
use std::{env, fs};

carafe_macros::include_model!("digits.carafe");

/// Rows and columns of the model's image.
const SIZE: usize = digits::INPUT_SHAPE[1];

fn main() -> Result<(), Box<dyn Error>> {
    let file = env::args().nth(1).unwrap_or("digit.txt".into());
    let drawing = fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
    let image = pixels(&drawing);

    let mut arena = Box::new(digits::Arena::zeroed());
    let mut net = digits::Net::new()?;
    let output = net.run(&mut arena, &image)?;

    println!("{file}: {}", output.label());
    for class in output.ranked().take(3) {
        println!("  {} with probability {:.3}", class.label, class.score);
    }
    Ok(())
}

/// Grey values of a drawing: `#` is light, `+` half as light, all else dark.
fn pixels(drawing: &str) -> [u8; digits::INPUT_BYTES] {
    let mut image = [0; digits::INPUT_BYTES];
    for (row, line) in image.chunks_exact_mut(SIZE).zip(drawing.lines()) {
        for (pixel, c) in row.iter_mut().zip(line.chars()) {
            *pixel = match c {
                '#' => 255,
                '+' => 128,
                _ => 0,
            };
        }
    }
    image
}
