//! An allocator that returns no memory: freed blocks keep their content, to be searched at the end.
//!
//! Each block has a header in front of it, which links the freed blocks, so the allocator itself
//! allocates nothing. A block that grows is always moved to a new one, and the old one stays, so
//! the search also sees what `realloc` leaves behind.

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
    /// The nesting depth of scopes on this thread whose memory is not inspected.
    static APART: Cell<usize> = const { Cell::new(0) };
}

pub(crate) struct Keeper;

fn is_apart() -> bool {
    APART.try_with(|depth| depth.get() > 0).unwrap_or(true)
}

/// Runs code that is not under test: the environment of the library, which creates the secrets and
/// searches for them. Blocks that it frees are overwritten and returned.
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

/// A freed block with its content.
pub(crate) struct Freed<'a> {
    pub(crate) bytes: &'a [u8],
    /// The call stack that freed the block; empty without the feature `trace`.
    pub(crate) frames: &'a [usize],
}

/// Passes every kept block to `look` and returns it.
pub(crate) fn search(mut look: impl FnMut(&Freed<'_>)) {
    let mut next = FREED.swap(ptr::null_mut(), Ordering::SeqCst);
    while !next.is_null() {
        // SAFETY: the header was written by `dealloc`, the block after it is no longer in use, and
        // only this chain refers to either.
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
        // SAFETY: allocated with this layout below; nothing refers to it after this line.
        unsafe { System.dealloc(base, whole) };
        next = following;
    }
}

/// Returns the layout with space for a header, and the offset of the block in it.
fn with_header(layout: Layout) -> Option<(Layout, usize)> {
    let align = layout.align().max(align_of::<Header>());
    let offset = size_of::<Header>().next_multiple_of(align);
    let whole = Layout::from_size_align(layout.size().checked_add(offset)?, align).ok()?;
    Some((whole, offset))
}

// SAFETY: every block comes from `System` with a larger layout, and is returned to it with the same
// one. `realloc` and `alloc_zeroed` are the standard's own, which use these two.
unsafe impl GlobalAlloc for Keeper {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((whole, offset)) = with_header(layout) else {
            return ptr::null_mut();
        };
        // Zeroed: a block that is freed half written must not show its earlier content.
        // SAFETY: the size is not zero, because it includes the header.
        let base = unsafe { System.alloc_zeroed(whole) };
        if base.is_null() {
            return base;
        }
        // SAFETY: `offset` lies within the block and has the required alignment.
        unsafe { base.add(offset) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some((whole, offset)) = with_header(layout) else {
            return;
        };
        // SAFETY: `alloc` returned this block at this offset.
        let base = unsafe { block.sub(offset) };
        if is_apart() || !KEEPING.load(Ordering::Relaxed) {
            // SAFETY: the block has the size of its layout, and came from `System` with the larger
            // one.
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
        // SAFETY: every block has space for an aligned header in front of it: `offset` is a
        // multiple of its alignment and of the block's.
        unsafe { header.write(kept) };
        let mut head = FREED.load(Ordering::Relaxed);
        loop {
            // SAFETY: no other reference to this header exists yet.
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
        // SAFETY: only one thread of this program frees blocks.
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
