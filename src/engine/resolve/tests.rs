//! Goldens of the resolution.
