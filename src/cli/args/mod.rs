//! Groups of flags that mirror `model`: each is a `clap::Args` struct with one `into_options`, flattened
//! into the commands that share it. No command declares a shared flag itself.
