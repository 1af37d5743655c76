//! A program with three models in it, which `include_model.rs` compiles and runs. Takes images (784 bytes each) on standard
//! input, and prints what the models say.
#![forbid(unsafe_code)]
#![deny(warnings)]

use std::io::Read;

carafe_macros::include_model!("digits.carafe");
carafe_macros::include_model!(
    /// The same model, fed row by row.
    pub(crate) mod pushed = concat!(env!("CARGO_MANIFEST_DIR"), "/rows", ".carafe")
);

carafe_macros::include_model!(mod signed = "signed.carafe");

// What is known at compile time can be used there.
const PIXELS: usize = digits::INPUT_SHAPE[1] * digits::INPUT_SHAPE[2];
static NAMES: [&str; 2] = [digits::INPUT.name, digits::OUTPUT.name];

fn main() {
    println!("shapes {:?} {:?}", digits::INPUT_SHAPE, digits::OUTPUT_SHAPE);
    println!("arena {} {} state {}", digits::ARENA_BYTES, pushed::ARENA_BYTES, digits::STATE_BYTES);
    println!("ops {} of {}", digits::REGISTRY.ops().len(), carafe::ops::ALL.ops().len());
    println!("labels {} names {}", digits::LABELS.join(" "), NAMES.join(" "));

    let mut images = vec![];
    std::io::stdin().read_to_end(&mut images).unwrap();
    digits::verify().unwrap();
    let mut net = digits::Net::new().unwrap();
    let mut rows = pushed::Net::new().unwrap();
    let mut quantized = signed::Net::new().unwrap();
    let mut arena =
        [0u8; if digits::ARENA_BYTES > signed::ARENA_BYTES { digits::ARENA_BYTES } else { signed::ARENA_BYTES }];
    let mut small = [0u8; pushed::ARENA_BYTES];
    for image in images.chunks_exact(PIXELS) {
        let image: &[u8; digits::INPUT_BYTES] = image.try_into().unwrap();
        // The model takes grey values as they are.
        let numbers = image.map(|x| signed::INPUT.quantize(f32::from(x)) as i8);

        let output = net.run(&mut arena, image).unwrap();
        let ranked: Vec<String> = output.ranked().take(3).map(|c| format!("{}={:.4}", c.label, c.score)).collect();
        println!("{:?} {} {} {}", output.bytes(), output.top1(), output.label(), ranked.join(" "));

        let expected = output.bytes().to_vec();
        let filled = net.run_with(&mut arena, |_, to| to.copy_from_slice(image));
        assert_eq!(filled.unwrap().bytes(), expected, "run_with");
        assert_eq!(rows.run(&mut small, image).unwrap().bytes(), expected, "pushed");
        println!("{:?}", quantized.run(&mut arena, &numbers).unwrap().bytes());
    }
    let too_small = net.run(&mut arena[..digits::ARENA_BYTES - 1], &[0; digits::INPUT_BYTES]);
    println!("{}", too_small.unwrap_err());
}
