#!/usr/bin/env python3
"""Makes src/runtime/seccomp/numbers.rs: system call numbers by name for five architectures.

    scripts/syscall-table.py [path to the linux-raw-sys crate] > src/runtime/seccomp/numbers.rs

The numbers are those of the kernel's own headers, as the crate `linux-raw-sys` (a dependency of rustix,
so already in the registry cache) has them. Run it again when that crate follows a newer kernel.
"""
import glob
import os
import re
import sys

ARCHES = ["x86_64", "x86", "x32", "aarch64", "arm"]
X32_BIT = 0x4000_0000

if len(sys.argv) > 1:
    crate = sys.argv[1]
else:
    crate = sorted(glob.glob(os.path.expanduser("~/.cargo/registry/src/*/linux-raw-sys-*")))[-1]

numbers = {}
for column, arch in enumerate(ARCHES):
    for path in glob.glob(f"{crate}/src/{arch}/*.rs"):
        text = open(path).read()
        # The private calls of 32-bit arm have a prefix of their own.
        for private, name, value in re.findall(r"pub const __(ARM_)?NR_([A-Za-z0-9_]+): u32 = (\d+);", text):
            value = int(value)
            if name in ("SYSCALL_MASK", "OABI_SYSCALL_BASE", "SYSCALL_BASE", "BASE", "syscalls"):
                continue
            if private and arch != "arm":
                continue
            numbers.setdefault(name, [None] * len(ARCHES))[column] = value

version = re.search(r"LINUX_VERSION_CODE: u32 = (\d+)", open(f"{crate}/src/x86_64/general.rs").read())
code = int(version.group(1))
print("//! System call numbers by name. Made by scripts/syscall-table.py from the headers of "
      f"Linux {code >> 16}.{code >> 8 & 255};\n//! not to be edited. The columns are x86_64, i386, x32, "
      "aarch64, arm (EABI); [`NONE`] is no such call there.\n")
print("/// No such system call.\npub(super) const NONE: u32 = u32::MAX;\n")
print("/// Sorted by name. The numbers of x32 have the bit that marks them.")
print("#[rustfmt::skip]")
print("pub(super) static NUMBERS: &[(&str, [u32; 5])] = &[")
for name in sorted(numbers):
    row = ["NONE" if n is None else (f"{n:#x}" if n >= 0xF0000 else str(n)) for n in numbers[name]]
    print(f'    ("{name}", [{", ".join(row)}]),')
print("];")
