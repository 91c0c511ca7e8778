//! An allocator that gives nothing back: what is freed stays as it was, to be searched in the end.
//!
//! Each block has a header in front of it, through which the freed ones are chained: the allocator
//! itself allocates nothing. A block that grows is moved to a new one, always, and the old one
//! stays: what `realloc` leaves behind shows.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

#[cfg(feature = "trace")]
const FRAMES: usize = 48;

struct Header {
    next: *mut Header,
    base: *mut u8,
    whole: Layout,
    size: usize,
    #[cfg(feature = "trace")]
    frames: [usize; FRAMES],
}

static KEEPING: AtomicBool = AtomicBool::new(false);
static FREED: AtomicPtr<Header> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// How many scopes deep this thread is in code that is not inspected.
    static APART: Cell<usize> = const { Cell::new(0) };
}

pub(crate) struct Keeper;

fn is_apart() -> bool {
    APART.try_with(|depth| depth.get() > 0).unwrap_or(true)
}

/// Runs what is not ours to answer for: the world around the library, which makes the secrets up
/// and looks for them. Blocks freed in it are overwritten and given back.
pub(crate) fn apart<T>(act: impl FnOnce() -> T) -> T {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            APART.with(|depth| depth.set(depth.get() - 1));
        }
    }
    APART.with(|depth| depth.set(depth.get() + 1));
    let _leave = Leave;
    act()
}

/// Runs `act` and keeps every block that it frees.
pub(crate) fn keeping<T>(act: impl FnOnce() -> T) -> T {
    KEEPING.store(true, Ordering::SeqCst);
    let value = act();
    KEEPING.store(false, Ordering::SeqCst);
    value
}

/// A freed block, as it was left.
pub(crate) struct Freed<'a> {
    pub(crate) bytes: &'a [u8],
    /// Where it was freed; empty without the feature `trace`.
    pub(crate) frames: &'a [usize],
}

/// Shows every kept block and gives it back.
pub(crate) fn search(mut look: impl FnMut(&Freed<'_>)) {
    let mut next = FREED.swap(ptr::null_mut(), Ordering::SeqCst);
    while !next.is_null() {
        // SAFETY: the header was written by `dealloc`, the block behind it is not in use any more,
        // and this chain is the only way to either.
        let (header, bytes) = unsafe {
            let header = &*next;
            let block = next.add(1).cast::<u8>();
            (header, std::slice::from_raw_parts(block, header.size))
        };
        #[cfg(feature = "trace")]
        let frames = &header.frames[..];
        #[cfg(not(feature = "trace"))]
        let frames: &[usize] = &[];
        look(&Freed { bytes, frames });
        let (following, base, whole) = (header.next, header.base, header.whole);
        // SAFETY: as it was allocated below; nothing refers to it after this line.
        unsafe { System.dealloc(base, whole) };
        next = following;
    }
}

/// The layout with room for a header, and where the block begins in it.
fn with_header(layout: Layout) -> Option<(Layout, usize)> {
    let align = layout.align().max(align_of::<Header>());
    let offset = size_of::<Header>().next_multiple_of(align);
    let whole = Layout::from_size_align(layout.size().checked_add(offset)?, align).ok()?;
    Some((whole, offset))
}

// SAFETY: every block comes from `System` with a larger layout, and goes back to it with the same
// one. `realloc` and `alloc_zeroed` are the standard's own, by these two.
unsafe impl GlobalAlloc for Keeper {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((whole, offset)) = with_header(layout) else {
            return ptr::null_mut();
        };
        // Zeroed: a block that is freed half written must not show what somebody else left in it
        // before. SAFETY: the size is not zero, for the header is in it.
        let base = unsafe { System.alloc_zeroed(whole) };
        if base.is_null() {
            return base;
        }
        // SAFETY: `offset` lies within the block, and is as aligned as it must be.
        unsafe { base.add(offset) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some((whole, offset)) = with_header(layout) else {
            return;
        };
        // SAFETY: `alloc` gave out this block at this offset.
        let base = unsafe { block.sub(offset) };
        if is_apart() || !KEEPING.load(Ordering::Relaxed) {
            // SAFETY: the block is as long as its layout says, and came from `System` with the
            // larger one.
            unsafe {
                ptr::write_bytes(block, 0, layout.size());
                System.dealloc(base, whole);
            }
            return;
        }
        let header = block.cast::<Header>().wrapping_sub(1);
        let kept = Header {
            next: ptr::null_mut(),
            base,
            whole,
            size: layout.size(),
            #[cfg(feature = "trace")]
            frames: frames(),
        };
        // SAFETY: there is room for a header in front of every block, aligned like it: `offset` is
        // a multiple of its alignment and of the block's.
        unsafe { header.write(kept) };
        let mut head = FREED.load(Ordering::Relaxed);
        loop {
            // SAFETY: nobody else knows this header yet.
            unsafe { (*header).next = head };
            match FREED.compare_exchange_weak(head, header, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => head = other,
            }
        }
    }
}

#[cfg(feature = "trace")]
fn frames() -> [usize; FRAMES] {
    let mut frames = [0; FRAMES];
    apart(|| {
        let mut count = 0;
        // SAFETY: this program has one thread that frees.
        unsafe {
            backtrace::trace_unsynchronized(|frame| {
                frames[count] = frame.ip() as usize;
                count += 1;
                count < FRAMES
            });
        }
    });
    frames
}
