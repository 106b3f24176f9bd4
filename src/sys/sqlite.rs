//! SQLite's memory comes from the program's own allocator.
//!
//! The library is C and would use the allocator of the C library. musl's maps and unmaps single pages: opening and
//! closing a database cost some 150 system calls and as many page faults, a tenth of the time of `run`.
//! What SQLite is asked to do lives in `storage`.

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Once;

use rusqlite::ffi;

/// Bytes before each block that hold its size; as many as the alignment that C expects of `malloc`.
const HEADER: usize = 16;

/// Says where SQLite gets its memory from. Only the first call does something; it must come before the first database
/// is opened.
pub fn use_own_allocator() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let methods = ffi::sqlite3_mem_methods {
            xMalloc: Some(take),
            xFree: Some(give),
            xRealloc: Some(resize),
            xSize: Some(size),
            xRoundup: Some(round),
            xInit: Some(start),
            xShutdown: Some(stop),
            pAppData: ptr::null_mut(),
        };
        // SAFETY: no database is open and SQLite is not initialised (the documented condition); the functions match
        // the documented signatures and SQLite copies the structure. Where the condition does not hold the call does
        // nothing but say SQLITE_MISUSE, and the C library's allocator stays.
        unsafe {
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, ptr::from_ref(&methods));
            ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0 as c_int);
        }
    });
}

/// Layout of a block for `wanted` bytes with its header.
fn layout(wanted: usize) -> Option<Layout> {
    Layout::from_size_align(wanted.checked_add(HEADER)?, HEADER).ok()
}

extern "C" fn take(wanted: c_int) -> *mut c_void {
    let Some((wanted, layout)) = usize::try_from(wanted).ok().and_then(|n| Some((n, layout(n)?))) else {
        return ptr::null_mut();
    };
    // SAFETY: the layout has a size of at least HEADER; the block is large enough and aligned for the size written at
    // its start.
    unsafe {
        let block = alloc(layout);
        if block.is_null() {
            return ptr::null_mut();
        }
        block.cast::<usize>().write(wanted);
        block.add(HEADER).cast()
    }
}

extern "C" fn give(given: *mut c_void) {
    if given.is_null() {
        return;
    }
    // SAFETY: SQLite gives back what `take` or `resize` returned: HEADER bytes before it the block starts with its size,
    // for which the same layout is computed.
    unsafe {
        let block = given.cast::<u8>().sub(HEADER);
        if let Some(layout) = layout(block.cast::<usize>().read()) {
            dealloc(block, layout);
        }
    }
}

extern "C" fn resize(given: *mut c_void, wanted: c_int) -> *mut c_void {
    let Some((wanted, fresh)) = usize::try_from(wanted).ok().and_then(|n| Some((n, layout(n)?))) else {
        return ptr::null_mut();
    };
    // SAFETY: as in `give`; SQLite calls this with a block that it has and a size above 0. On failure the old block
    // stays as it is, as SQLite expects.
    unsafe {
        let block = given.cast::<u8>().sub(HEADER);
        let Some(old) = layout(block.cast::<usize>().read()) else { return ptr::null_mut() };
        let block = realloc(block, old, fresh.size());
        if block.is_null() {
            return ptr::null_mut();
        }
        block.cast::<usize>().write(wanted);
        block.add(HEADER).cast()
    }
}

extern "C" fn size(given: *mut c_void) -> c_int {
    if given.is_null() {
        return 0;
    }
    // SAFETY: as in `give`.
    let size = unsafe { given.cast::<u8>().sub(HEADER).cast::<usize>().read() };
    c_int::try_from(size).unwrap_or(c_int::MAX)
}

extern "C" fn round(wanted: c_int) -> c_int {
    wanted.saturating_add(7) & !7
}

extern "C" fn start(_data: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

extern "C" fn stop(_data: *mut c_void) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_grow_shrink_and_know_their_size() {
        let first = take(10);
        assert_eq!(size(first), 10);
        // SAFETY: ten bytes were taken.
        unsafe { first.cast::<u8>().write_bytes(7, 10) };
        let grown = resize(first, 100_000);
        assert_eq!(size(grown), 100_000);
        // SAFETY: the first ten bytes were kept.
        assert_eq!(unsafe { std::slice::from_raw_parts(grown.cast::<u8>(), 10) }, [7; 10]);
        give(grown);
        give(ptr::null_mut());
        assert_eq!((size(ptr::null_mut()), round(9), round(c_int::MAX)), (0, 16, c_int::MAX & !7));
        assert!(take(-1).is_null());
    }

    #[test]
    fn a_database_works_on_it() {
        use_own_allocator();
        let db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (zeroblob(100000)), ('a');").unwrap();
        let bytes: i64 = db.query_row("SELECT sum(length(x)) FROM t", [], |r| r.get(0)).unwrap();
        assert_eq!(bytes, 100_001);
    }
}
