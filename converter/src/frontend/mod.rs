//! Frontends: one folder a model format.
