//! The runtime with every wrapper around the simulated vector engine, and no op.
#![no_std]
#![no_main]

use core::cell::Cell;
use core::hint::black_box;

use carafe::offload::{Auto, Configure, CpuCost, Event, Fail, Faulty, Log, Traced, Watchdog};
use carafe_vector_engine::{Config, VectorEngine};

carafe_size::program!(carafe_size::with_memory(|image, pad| {
    let entries = black_box([const { Cell::new(Event::Free) }; 8]);
    let log = Log::new(&entries);
    let config = black_box(Config::default());
    let mut engine = VectorEngine::new(config, pad);
    black_box(engine.configure(config.microcode, &mut &*image).is_ok());
    let faulty = Faulty::new(engine, black_box(Fail::Poll(3)));
    let cost = black_box(CpuCost { per_mac: 256, per_element: 256, per_node: 1 });
    let watched = Watchdog::new(Auto::new(Traced::new(faulty, &log), cost), black_box(9));
    carafe_size::infer_on(carafe::registry![], watched);
    black_box((log.overlap(), log.lost()));
}));
