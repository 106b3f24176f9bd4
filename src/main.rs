//! The binary: hidden entry points first, because they must cost nothing; then the command line.
//!
//! `__monitor` is the per-container monitor (exec'ed by `monitor::client`), `runtime` and the name
//! `rcon-runtime` (or `runc`, for who looks for that) are the OCI runtime command line. Only this file ends the process.

use std::process::ExitCode;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let mut argv = std::env::args_os();
    let name = argv.next().unwrap_or_default();
    let first = argv.next().unwrap_or_default();
    if first == rcon::monitor::main::ARGUMENT {
        return rcon::monitor::main::run();
    }
    if first == rcon::runtime::reaper::ENTRY {
        let command: Vec<_> = argv.skip(1).collect();
        return ExitCode::from(u8::try_from(rcon::runtime::reaper::main(&command)).unwrap_or(255));
    }
    let called = std::path::Path::new(&name).file_name().unwrap_or_default();
    if let Some(program) = ["rcon-runtime", "runc"].into_iter().find(|n| called == *n) {
        return rcon::cli::runtime_main(program, std::env::args_os().skip(1).collect());
    }
    if first == "runtime" {
        return rcon::cli::runtime_main("rcon runtime", argv.collect());
    }
    rcon::cli::main()
}
