//! Models with state: against OpenVINO's own variables, against the same network over the whole sequence, and side by side.

mod golden;
mod several;
mod unrolled;
