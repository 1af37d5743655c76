//! What is wrong inside one layer, before file and layer are known.

use carafe_graph::GraphError;

/// Remedy for whatever no OpenVINO release writes.
pub(super) const DAMAGED: &str = "the file is damaged or was edited by hand: write it again with `ovc`";

#[derive(Debug)]
pub(super) enum Fault {
    /// Legal, but Carafe can't run it.
    Unsupported(String),
    /// Not legal in an IR.
    Invalid { what: String, remedy: &'static str },
    /// It only fails because a layer before it does.
    Consequence,
}

impl Fault {
    pub fn unsupported(why: impl Into<String>) -> Self {
        Self::Unsupported(why.into())
    }

    pub fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into(), remedy: DAMAGED }
    }
}

impl From<GraphError> for Fault {
    fn from(error: GraphError) -> Self {
        match error {
            // The layer is named by whoever reports the fault.
            GraphError::Shape { what, .. } => Self::invalid(what),
            other => Self::invalid(other.to_string()),
        }
    }
}
