//! carafe-hil
