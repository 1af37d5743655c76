//! The runner on this computer, over a link in memory: what every board does, without an emulator.

mod common;

use std::time::Duration;

use carafe_hil::protocol::{Fault, MAX_DATA, Observe, Request, Response, Version};
use carafe_hil::sample::Sample;
use carafe_hil::{Case, Client, Error, Host, Target, Transport};
use carafe_runner::Ending;
use common::{
    Faulty, LIMIT, Noise, ROOMY, Sizes, board, client, computes, fault, plain, stands_bad_transfers, stands_noise, wire,
};

#[test]
fn says_who_it_is_and_echoes() {
    let mut client = Client::new("loopback", board(ROOMY).0);
    let info = client.hello(LIMIT).unwrap();
    assert_eq!((info.board.as_str(), info.cpu.as_str()), ("loopback", "host"));
    assert_eq!((info.model_bytes, info.arena_bytes), (16 << 10, 64 << 10));
    assert!(info.ops.contains(&carafe::OpCode::Lut.0));
    for len in [0, 1, 253, 254, 255, 256, MAX_DATA] {
        for data in [vec![0; len], vec![0xFF; len], Noise(3).bytes(len)] {
            assert_eq!(client.echo(&data).unwrap(), data);
        }
    }
    assert_eq!(client.resent(), 0);
}

#[test]
fn computes_what_the_host_computes() {
    let mut client = client(ROOMY);
    for sample in [
        Sample::new(4, 4, 3, 1),
        Sample::new(1, 1, 1, 255),
        // Inputs and outputs of several frames; the second one is pushed row by row.
        Sample::new(40, 30, 5, 77),
        Sample::new(40, 30, 5, 78).pushed(),
    ] {
        let mut host = Host::new();
        let on_host = host.load(&sample.blob()).unwrap();
        let loaded = client.load(&sample.blob()).unwrap();
        assert_eq!(loaded.arena_bytes as usize, on_host.arena_bytes);
        for seed in 1..5 {
            computes(&mut client, &sample, seed);
        }
        let input = Noise(9).bytes(sample.bytes());
        client.set_input(0, &input).unwrap();
        let stats = client.run(Observe::Nothing, LIMIT).unwrap().stats;
        let outcome = host.exec(&Case::of(&[&input]), LIMIT).unwrap();
        assert_eq!(outcome.outputs, [sample.expected(&input)]);
        assert_eq!(stats.arena_high_water, stats.arena_bytes);
        assert_eq!((stats.steps, stats.rows, stats.stack_bytes), (outcome.steps, 0, None));
        assert_eq!(outcome.steps, u32::from(sample.h));
        assert!(stats.ticks > 0);
    }
}

#[test]
fn watches_rows_as_the_host_does() {
    let mut client = client(ROOMY);
    // Rows of 1,500 bytes come in two records each.
    let sample = Sample::new(6, 500, 3, 5);
    client.load(&sample.blob()).unwrap();
    let mut host = Host::new();
    host.load(&sample.blob()).unwrap();
    let input = Noise(5).bytes(sample.bytes());
    for observe in [Observe::Digests, Observe::Node { node: 0 }, Observe::Node { node: 1 }] {
        client.set_input(0, &input).unwrap();
        let rows = client.run(observe, LIMIT).unwrap().rows;
        let outcome = host.exec(&Case::of(&[&input]).observed(observe), LIMIT).unwrap();
        assert_eq!(rows, outcome.rows);
        let whole = rows.iter().flat_map(|row| row.data.clone()).collect::<Vec<_>>();
        match observe {
            Observe::Digests => assert_eq!((rows.len(), whole.len()), (6, 0)),
            Observe::Node { node: 0 } => assert_eq!(whole, sample.expected(&input)),
            _ => assert_eq!(rows.len(), 0),
        }
    }
}

#[test]
fn profiles_nodes() {
    let mut client = client(ROOMY);
    let sample = Sample::new(7, 2, 2, 5);
    client.load(&sample.blob()).unwrap();
    assert_eq!(fault(&mut client, &Request::GetProfile { index: 0 }), Fault::NoSuchRecord { count: 0 });
    client.set_input(0, &[1; 28]).unwrap();
    client.run(Observe::Profile, LIMIT).unwrap();
    let profile = client.profile().unwrap();
    assert_eq!(profile.len(), 1);
    assert_eq!((profile[0].node, profile[0].op, profile[0].calls), (0, carafe::OpCode::Lut.0, 7));
    // This board's clock ticks when it is read.
    assert_eq!(profile[0].ticks, 7);
}

#[test]
fn a_request_that_comes_again_is_not_carried_out_again() {
    let (mut link, _thread) = board(ROOMY);
    let blob = Sample::new(2, 2, 2, 5).blob();
    let crc = carafe_hil::protocol::CRC.checksum(&blob);
    let requests = [
        Request::LoadBegin { len: blob.len() as u32, crc },
        Request::LoadChunk { offset: 0, data: &blob },
        Request::LoadEnd,
        Request::SetInput { index: 0, offset: 0, data: &[1, 2, 3, 4, 5, 6, 7, 8] },
        Request::Run { observe: Observe::Nothing },
        Request::GetOutput { index: 0, offset: 2, len: 3 },
    ];
    let mut answers = Vec::new();
    for (seq, request) in (100..).zip(&requests) {
        for _ in 0..3 {
            link.send(&wire(seq, request)).unwrap();
            let mut answer = Vec::new();
            while answer.last() != Some(&0) {
                link.receive(&mut answer, LIMIT).unwrap();
            }
            answers.push(answer);
        }
    }
    for same in answers.chunks(3) {
        assert!(same[0] == same[1] && same[1] == same[2], "{same:?}");
    }
    let mut inbox: carafe_hil::protocol::Accumulator = carafe_hil::protocol::Accumulator::new();
    for byte in answers.last().unwrap() {
        inbox.feed(*byte);
    }
    let (seq, body) = carafe_hil::protocol::frame::split(inbox.payload()).unwrap();
    let response: Response<'_> = carafe_hil::protocol::frame::message(body).unwrap();
    assert_eq!((seq, response), (105, Response::Output { data: &[8, 9, 10] }));
}

#[test]
fn stands_broken_frames() {
    for seed in 1..=4 {
        stands_noise(&mut client(ROOMY), 2_000, seed * 77);
    }
}

#[test]
fn stands_bad_transfers_and_keeps_the_old_model() {
    stands_bad_transfers(&mut client(ROOMY), 16 << 10);
}

#[test]
fn works_over_a_link_that_garbles() {
    let sample = Sample::new(40, 30, 5, 77);
    let mut resent = 0;
    for seed in 1..=3 {
        let inner = board(ROOMY).0;
        let mut client = Client::new("faulty", Faulty { inner, noise: Noise(seed), one_in: 5_000 });
        client.hello(LIMIT).unwrap();
        client.load(&sample.blob()).unwrap();
        for seed in 1..5 {
            computes(&mut client, &sample, seed);
        }
        resent += client.resent();
    }
    assert!(resent > 0, "the link was too good to test anything");
}

#[test]
fn a_row_that_gets_lost_is_missed() {
    let sample = Sample::new(60, 10, 5, 77);
    let input = Noise(9).bytes(sample.bytes());
    let case = Case::of(&[&input]).observed(Observe::Digests);
    let mut host = Host::new();
    host.load(&sample.blob()).unwrap();
    let want = host.exec(&case, LIMIT).unwrap().rows;
    let (mut whole, mut lost) = (0, 0);
    for seed in 1..=20 {
        let inner = board(ROOMY).0;
        let mut client = Client::new("faulty", Faulty { inner, noise: Noise(seed), one_in: 2_000 });
        client.hello(LIMIT).unwrap();
        client.load(&sample.blob()).unwrap();
        client.set_input(0, &input).unwrap();
        match client.run(Observe::Digests, LIMIT) {
            Ok(ran) => {
                assert_eq!(ran.rows, want);
                whole += 1;
            }
            Err(Error::RowsLost { arrived, sent, .. }) => {
                assert!(sent == 60 && arrived < sent, "{arrived} of {sent}");
                lost += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(whole > 0 && lost > 0, "{whole} whole, {lost} with a loss");
}

#[test]
fn with_room_for_one_model_a_new_one_replaces_the_old() {
    let (small, large) = (Sample::new(2, 2, 2, 1), Sample::new(9, 9, 3, 2));
    let mut client = client(Sizes(1 << 10, 0, 4 << 10));
    for sample in [small, large, small] {
        client.load(&sample.blob()).unwrap();
        computes(&mut client, &sample, 4);
    }
    // A new one that does not verify leaves none, and a board that knows it.
    let mut forged = large.blob();
    forged[50] ^= 1;
    assert!(matches!(client.load(&forged), Err(Error::Refused { fault: Fault::Blob(_), .. })));
    assert_eq!(fault(&mut client, &Request::Run { observe: Observe::Nothing }), Fault::NoModel);
    client.load(&small.blob()).unwrap();
    computes(&mut client, &small, 1);
}

#[test]
fn banks_of_different_size_take_what_fits_them() {
    let (small, large) = (Sample::new(2, 2, 2, 1), Sample::new(9, 9, 3, 2));
    // The second bank is too small by one byte, so the present model has to go before the next comes.
    let mut client = client(Sizes(1 << 10, small.blob().len() - 1, 4 << 10));
    for sample in [small, large, small] {
        client.load(&sample.blob()).unwrap();
        computes(&mut client, &sample, 4);
    }
}

#[test]
fn refuses_what_does_not_fit_the_model() {
    let sample = Sample::new(3, 2, 2, 1);
    let mut client = client(ROOMY);
    let run = Request::Run { observe: Observe::Nothing };
    let get = Request::GetOutput { index: 0, offset: 0, len: 1 };
    assert_eq!(fault(&mut client, &run), Fault::NoModel);
    assert_eq!(fault(&mut client, &get), Fault::NoModel);
    client.load(&sample.blob()).unwrap();
    assert_eq!(fault(&mut client, &run), Fault::InputMissing { have: 0, need: 12 });
    assert_eq!(fault(&mut client, &get), Fault::NotRun);
    let set = |index, offset, data| Request::SetInput { index, offset, data };
    assert_eq!(fault(&mut client, &set(1, 0, &[1])), Fault::NoSuchInput { count: 1 });
    assert_eq!(fault(&mut client, &set(0, 11, &[1, 2])), Fault::Range { len: 12 });
    assert_eq!(fault(&mut client, &set(0, u32::MAX, &[1, 2])), Fault::Range { len: 12 });
    plain(&mut client, &set(0, 0, &[0; 7])).unwrap();
    assert_eq!(fault(&mut client, &run), Fault::InputMissing { have: 7, need: 12 });
    assert_eq!(fault(&mut client, &get), Fault::NotRun);
    plain(&mut client, &set(0, 7, &[0; 5])).unwrap();
    client.run(Observe::Nothing, LIMIT).unwrap();
    assert_eq!(
        fault(&mut client, &Request::GetOutput { index: 1, offset: 0, len: 1 }),
        Fault::NoSuchOutput { count: 1 }
    );
    assert_eq!(fault(&mut client, &Request::GetOutput { index: 0, offset: 12, len: 1 }), Fault::Range { len: 12 });
    assert_eq!(
        fault(&mut client, &Request::GetOutput { index: 0, offset: u32::MAX, len: 9 }),
        Fault::Range { len: 12 }
    );
    // The run has used its inputs up.
    assert_eq!(fault(&mut client, &run), Fault::InputMissing { have: 0, need: 12 });
    computes(&mut client, &sample, 8);
}

#[test]
fn says_what_the_arena_lacks() {
    for (sample, lacking) in [(Sample::new(8, 8, 8, 1), 0), (Sample::new(8, 8, 8, 1).pushed(), 512)] {
        let need = Host::new().load(&sample.blob()).unwrap().arena_bytes + lacking;
        let mut tight = client(Sizes(2 << 10, 0, need - 1));
        tight.load(&sample.blob()).unwrap();
        let set = Request::SetInput { index: 0, offset: 0, data: &[0; 512] };
        let want = Fault::ArenaTooSmall { need: need as u32, have: need as u32 - 1 };
        assert_eq!(fault(&mut tight, &set), want);
        assert_eq!(fault(&mut tight, &set), want);
        let mut enough = client(Sizes(2 << 10, 0, need));
        enough.load(&sample.blob()).unwrap();
        computes(&mut enough, &sample, 3);
    }
}

#[test]
fn refuses_other_versions_and_unknown_requests() {
    let mut client = client(ROOMY);
    let hello = Request::Hello { version: Version { major: 2, minor: 0 } };
    let Fault::Version { device } = fault(&mut client, &hello) else { panic!("no fault about versions") };
    assert_eq!(device, carafe_hil::protocol::VERSION);
    // A newer minor version is welcome.
    let hello = Request::Hello { version: Version { major: device.major, minor: 200 } };
    client.call("a test", &hello, LIMIT, |response| matches!(response, Response::Info(_)).then_some(())).unwrap();

    // A request of a later version: a frame that is sound, with a variant that no one knows yet.
    let (mut link, _thread) = board(ROOMY);
    let mut room = [0; 64];
    link.send(carafe_hil::protocol::frame::encode(7, &200u8, &mut room).unwrap()).unwrap();
    let mut answer = Vec::new();
    while answer.last() != Some(&0) {
        link.receive(&mut answer, LIMIT).unwrap();
    }
    let want = carafe_hil::protocol::frame::encode(7, &Response::Fault(Fault::UnknownRequest), &mut room).unwrap();
    assert_eq!(answer, want);
}

#[test]
fn leaves_when_asked_and_when_the_link_ends() {
    let (link, thread) = board(ROOMY);
    let mut client = Client::new("loopback", link);
    client.load(&Sample::new(1, 1, 1, 1).blob()).unwrap();
    client.exit(7).unwrap();
    assert_eq!(thread.join().unwrap(), Ending::Exit { code: 7 });
    assert!(matches!(client.echo(&[1]), Err(Error::LinkLost { .. })));

    let (mut link, thread) = board(ROOMY);
    link.hang_up();
    assert_eq!(thread.join().unwrap(), Ending::LinkLost);
}

#[test]
fn a_board_that_hangs_is_timed_out() {
    /// Takes all and says nothing.
    struct Deaf;
    impl Transport for Deaf {
        fn send(&mut self, _bytes: &[u8]) -> std::io::Result<()> {
            Ok(())
        }
        fn receive(&mut self, _to: &mut Vec<u8>, limit: Duration) -> std::io::Result<()> {
            std::thread::sleep(limit);
            Ok(())
        }
    }
    let mut client = Client::new("deaf", Deaf);
    let error = client.hello(Duration::from_millis(1_200)).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(error.to_string().starts_with("deaf: no answer to the greeting within 1.2s"), "{error}");
    assert!(client.resent() >= 1);
}
