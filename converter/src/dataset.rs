//! Calibration and test data.
