//! Parts of a run on an accelerator: the same bits, whatever it takes, and whatever becomes of it.

mod bench;
mod choice;
mod failure;
mod overlap;
mod random;
