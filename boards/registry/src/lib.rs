//! carafe-boards
