//! One inference, as a product makes it, counted.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use carafe_bench::constants::INPUT_BYTES;
use carafe_bench::{Feed, HZ, Line, Once, Timer, crc32, entry, leave};

carafe_macros::include_model!(mod net = concat!(env!("OUT_DIR"), "/model.carafe"));

entry!(main, Timer);

fn main(timer: Timer) -> ! {
    static ARENA: Once<net::Arena> = Once::new(net::Arena::zeroed());
    static INPUT: Once<[u8; INPUT_BYTES]> = Once::new([0; INPUT_BYTES]);
    let (Some(arena), Some(input)) = (ARENA.take(), INPUT.take()) else { leave(false) };
    let feed = Feed::golden(input);
    let Ok(mut net) = net::Net::new() else { leave(false) };
    let mut well = true;
    // The first inference shows how deep the stack goes, the second is counted.
    let mut inference = || {
        let mut feed = feed;
        well &= net.run_with(arena, |i, to| feed.fill(i, to)).is_ok();
    };
    let stack = carafe_bench::stack_of(&mut inference);
    let (ticks, nothing) = carafe_bench::count(&timer, &mut inference);

    let model = *net.session().model();
    let crc = (0..model.outputs()).fold(0, |crc, i| {
        match carafe::Output::read(&model, arena, i, const { &net::OUTPUT }, &[]) {
            Ok(output) => crc32(crc, output.bytes()),
            Err(_) => crc,
        }
    });
    let mut line = Line::begin("count");
    line.field("hz", HZ.into());
    line.field("ticks", ticks.into());
    line.field("nothing", nothing.into());
    line.field("stack", stack.into());
    line.field("crc", crc.into());
    line.end();
    leave(well)
}
