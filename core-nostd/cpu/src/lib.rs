//! carafe-cpu
