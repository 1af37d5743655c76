//! Plans: whatever the planner decides about segments, rings and places, a model gives the same bits, takes the memory
//! that was planned, and every node means what its float counterpart means; with an accelerator and without.

mod again;
mod device;
mod grow;
mod limit;
mod model;
mod odd;
mod offload;
mod random;
mod regions;
