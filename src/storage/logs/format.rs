//! Encoding and decoding of log records.
