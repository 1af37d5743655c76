//! carafe-runner
