//! carafe-protocol
