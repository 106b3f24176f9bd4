//! Files of cgroup directories: short reads and single writes relative to a directory descriptor.
