//! Graph rewriting.
