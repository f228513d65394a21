//! The allocator: one arena of fixed size for each peer, so that the memory of each peer is limited and measured
//! separately.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, UnsafeCell};
use core::ptr::{self, NonNull};

use linked_list_allocator::Heap;

/// The maximum number of bytes for one peer. The program fails beyond it.
pub(crate) const SIZE: usize = 16 * 1024;

/// The owner of an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Client,
    Server,
}

/// The global allocator. It allocates for the owner that [`Arenas::within`] sets, and refuses if there is none.
pub(crate) struct Arenas {
    client: Arena,
    server: Arena,
    current: Cell<Option<Owner>>,
}

// SAFETY: the program has one thread and no signal handler, so threads never share it.
unsafe impl Sync for Arenas {}

impl Arenas {
    pub(crate) const fn new() -> Self {
        Self { client: Arena::new(), server: Arena::new(), current: Cell::new(None) }
    }

    /// Runs `work` and counts its allocations for `owner`.
    pub(crate) fn within<R>(&self, owner: Owner, work: impl FnOnce() -> R) -> R {
        let before = self.current.replace(Some(owner));
        let result = work();
        self.current.set(before);
        result
    }

    /// The bytes that `owner` holds now.
    pub(crate) fn used(&self, owner: Owner) -> usize {
        self.arena(owner).used.get()
    }

    /// The maximum number of bytes that `owner` held at once.
    pub(crate) fn peak(&self, owner: Owner) -> usize {
        self.arena(owner).peak.get()
    }

    fn arena(&self, owner: Owner) -> &Arena {
        match owner {
            Owner::Client => &self.client,
            Owner::Server => &self.server,
        }
    }
}

// SAFETY: every pointer comes from the heap of one arena and returns to that heap, with its original layout.
unsafe impl GlobalAlloc for Arenas {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.current.get().map_or(ptr::null_mut(), |owner| self.arena(owner).alloc(layout))
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let arena = if self.client.contains(pointer) { &self.client } else { &self.server };
        // SAFETY: the caller of `dealloc` guarantees the same, and the pointer is inside this arena.
        unsafe { arena.dealloc(pointer, layout) };
    }
}

struct Arena {
    memory: Memory,
    heap: UnsafeCell<Heap>,
    used: Cell<usize>,
    peak: Cell<usize>,
}

#[repr(align(16))]
struct Memory(UnsafeCell<[u8; SIZE]>);

impl Arena {
    const fn new() -> Self {
        Self {
            memory: Memory(UnsafeCell::new([0; SIZE])),
            heap: UnsafeCell::new(Heap::empty()),
            used: Cell::new(0),
            peak: Cell::new(0),
        }
    }

    /// Null if there is no room.
    fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: there is one thread, and no reference to the heap outlives the method that made it.
        let heap = unsafe { &mut *self.heap.get() };
        if heap.size() == 0 {
            // SAFETY: the arena is a static, so its memory is never freed, and nothing else uses it.
            unsafe { heap.init(self.memory.0.get().cast(), SIZE) };
        }
        let allocated = heap.allocate_first_fit(layout).map_or(ptr::null_mut(), NonNull::as_ptr);
        self.count(heap);
        allocated
    }

    /// # Safety
    /// [`Self::alloc`] returned `pointer` for this `layout`, and it was not freed since.
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some(pointer) = NonNull::new(pointer) else { return };
        // SAFETY: there is one thread, and no reference to the heap outlives the method that made it.
        let heap = unsafe { &mut *self.heap.get() };
        // SAFETY: the caller guarantees the requirements of the heap.
        unsafe { heap.deallocate(pointer, layout) };
        self.count(heap);
    }

    fn contains(&self, pointer: *mut u8) -> bool {
        let start = self.memory.0.get().addr();
        (start..start + SIZE).contains(&pointer.addr())
    }

    fn count(&self, heap: &Heap) {
        self.used.set(heap.used());
        self.peak.set(self.peak.get().max(heap.used()));
    }
}
