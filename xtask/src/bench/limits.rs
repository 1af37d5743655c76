//! What an inference may take of the stack: `cargo xtask bench` fails past it. The tests hold the firmware of boards to the same
//! (`hil-tests/tests/conformance`), which runs other code around the kernels.

use super::measured::Measured;

/// Every figure is below this.
pub const STACK: u64 = 1_200;

/// The same on SPARC, where each frame has room for the registers of a window.
const STACK_SPARC: u64 = 1_400;

/// What takes too much, in words.
pub fn exceeded(measured: &Measured) -> Vec<String> {
    let mut found = Vec::new();
    let mut hold = |what: String, stack: u64, limit: u64| {
        if stack >= limit {
            found.push(format!("{what}: {stack} bytes of stack are not below {limit}"));
        }
    };
    for model in &measured.models {
        for on in &model.cores {
            if let Some(counted) = &on.counted {
                let limit = if on.cpu == "leon3" { STACK_SPARC } else { STACK };
                hold(format!("{} on {}", model.name, on.board), counted.stack_bytes, limit);
            }
        }
        if let Some(counted) = &model.small {
            hold(format!("{} compiled for flash", model.name), counted.stack_bytes, STACK);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::page::tests::measured;
    use super::*;

    #[test]
    fn a_deep_stack_is_named() {
        let mut all = measured();
        assert!(exceeded(&all).is_empty());
        let model = all.models.iter_mut().find(|model| model.name == "resnet8").unwrap();
        model.small.as_mut().unwrap().stack_bytes = STACK;
        assert_eq!(exceeded(&all), ["resnet8 compiled for flash: 1200 bytes of stack are not below 1200"]);
    }
}
