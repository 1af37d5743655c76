//! An IR: the text of the `.xml` up to and with `</net>`, then the bytes of the `.bin`.

use carafe_converter::{frontend::openvino, passes};

/// It is a graph that the checks and the passes accept, or an error with words.
pub fn check(data: &[u8]) {
    const END: &[u8] = b"</net>";
    let split = data.windows(END.len()).position(|w| w == END).map_or(data.len(), |at| at + END.len());
    let (xml, bin) = data.split_at(split);
    let Ok(xml) = std::str::from_utf8(xml) else { return };
    match openvino::parse(xml, bin, "fuzzed.xml") {
        Ok(graph) => {
            graph.check().expect("what the frontend makes is consistent");
            // A few bytes of XML can ask for any amount of memory once constants are folded.
            let elements = |v: &carafe_graph::Value| v.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
            if graph.values.iter().all(|v| elements(v).is_some_and(|n| n < 1 << 16)) {
                let _ = passes::optimize(graph, &mut |_, _| ());
            }
        }
        Err(e) => assert!(!e.to_string().is_empty()),
    }
}
