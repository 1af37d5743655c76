//! A program with a model that has a state, which `include_model.rs` compiles and runs. Takes steps of 16 bytes on standard
//! input, and prints what the model says to each, and to the first again after a reset.
#![forbid(unsafe_code)]
#![deny(warnings)]

use std::io::Read;

carafe_macros::include_model!("streaming.carafe");

fn main() {
    let mut steps = vec![];
    std::io::stdin().read_to_end(&mut steps).unwrap();
    let state = Box::leak(Box::new(streaming::State::zeroed()));
    let mut net = streaming::Net::new(state).unwrap();
    let mut arena = streaming::Arena::zeroed();
    let mut say = |net: &mut streaming::Net, step: &[u8]| {
        let output = net.run_with(&mut arena, |_, to| to.copy_from_slice(step)).unwrap();
        println!("{:?}", output.bytes());
    };
    for step in steps.chunks_exact(streaming::INPUT_BYTES) {
        say(&mut net, step);
    }
    net.reset_state();
    say(&mut net, &steps[..streaming::INPUT_BYTES]);
}
