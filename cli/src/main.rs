//! carafe-cli
fn main() {}
