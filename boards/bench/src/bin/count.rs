//! One inference, as a product makes it, counted.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use carafe_bench::constants::INPUT_BYTES;
use carafe_bench::{Feed, HZ, Line, Timer, crc32, leave};

carafe_macros::include_model!(mod net = concat!(env!("OUT_DIR"), "/model.carafe"));

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ARENA: net::Arena = net::Arena::zeroed();
    static mut INPUT: [u8; INPUT_BYTES] = [0; INPUT_BYTES];
    let Some(peripherals) = cortex_m::Peripherals::take() else { leave(false) };
    let timer = Timer::start(peripherals.SYST);
    let feed = Feed::golden(INPUT);
    let Ok(mut net) = net::Net::new() else { leave(false) };
    let mut well = true;
    // The first inference shows how deep the stack goes, the second is counted.
    let mut inference = || {
        let mut feed = feed;
        well &= net.run_with(ARENA, |i, to| feed.fill(i, to)).is_ok();
    };
    let stack = carafe_bench::stack_of(&mut inference);
    let (ticks, nothing) = carafe_bench::count(&timer, &mut inference);

    let model = *net.session().model();
    let crc = (0..model.outputs()).fold(0, |crc, i| {
        match carafe::Output::read(&model, ARENA, i, const { &net::OUTPUT }, &[]) {
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
