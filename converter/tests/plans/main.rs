//! Plans: whatever the planner decides about segments, rings and places, a model gives the same bits, takes the memory
//! that was planned, and every node means what its float counterpart means.

mod device;
mod grow;
mod model;
mod odd;
mod random;
