//! The integration tests, one binary: each module is a file of this folder and looks at one command or one part
//! on the real kernel. `every_file_is_listed` fails where a file was forgotten here.
#![allow(clippy::print_stderr, reason = "a test says what it could not test")]

#[path = "../support/mod.rs"]
mod support;

mod checkpoint;
mod ci;
mod cli;
mod confinement;
mod crash;
mod create_flags;
mod docker_defaults;
mod docker_suite;
mod docker_ways;
mod engine_attacks;
mod engine_faults;
mod errors;
mod habits;
mod image_damage;
mod image_files;
mod image_push;
mod init_cmd;
mod life_cmd;
mod limits;
mod main_job;
mod monitor_crash;
mod monitor_life;
mod monitor_streams;
mod net_reach;
mod network_cmd;
mod network_flags;
mod options;
mod podman_create;
mod podman_details;
mod podman_globals;
mod podman_manner;
mod podman_verbs;
mod podman_ways;
mod podman_words;
mod publish;
mod pull;
mod pull_auth;
mod pull_faults;
mod pull_interrupt;
mod pull_routes;
mod runlabel;
mod runtime_attacks;
mod runtime_cli;
mod runtime_criu;
mod runtime_faults;
mod runtime_freeze;
mod runtime_lent;
mod runtime_notify;
mod runtime_peers;
mod runtime_spec;
mod runtime_start;
mod runtime_suites;
mod runtime_user;
mod secrets;
mod system_cmd;
mod userns;
mod volume_cmd;

#[test]
fn every_file_is_listed() {
    let me = include_str!("main.rs");
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    for entry in std::fs::read_dir(dir).expect("tests/it") {
        let name = entry.expect("entry").file_name().to_string_lossy().into_owned();
        if let Some(module) = name.strip_suffix(".rs")
            && module != "main"
        {
            assert!(me.contains(&format!("mod {module};")), "tests/it/{name} is not a module of main.rs");
        }
    }
}
