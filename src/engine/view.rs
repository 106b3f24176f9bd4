//! A container as it is now: its row and spec from the store, joined with what its run directory says.
