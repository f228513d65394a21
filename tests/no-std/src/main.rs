//! Both roles of multiwa-ws-core in a program without std, in a fixed amount of memory.
//!
//! It links, which proves that neither core nor its dependencies need std: std has its own panic handler, and the
//! compiler refuses a program with two. It runs, which proves that both peers need at most [`arena::SIZE`] bytes each.
//! It prints how much they used.
//!
//! Only this program of the project may use `unsafe`, for the parts that std would provide: the allocator, the panic
//! handler, the entry point. The code that drives the peers, in [`mod@session`], is safe.
#![no_std]
#![no_main]

mod arena;
mod session;

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use arena::{Arenas, Owner};

#[global_allocator]
static ARENAS: Arenas = Arenas::new();

/// The C start-up code calls this function.
///
/// The start-up code requires this name, and nothing else in the program has it.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    let idle = session::run(&ARENAS);
    for (owner, idle) in [(Owner::Client, idle.client), (Owner::Server, idle.server)] {
        let peak = ARENAS.peak(owner);
        // If nobody reads the output, the peers have not failed.
        _ = writeln!(Output::stdout(), "{owner:?}: {peak} bytes at most, {idle} while the connection is idle");
    }
    0
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    _ = writeln!(Output::stderr(), "{info}");
    // SAFETY: it has no arguments and does not return.
    unsafe { abort() }
}

/// The precompiled alloc crate supports unwinding and requires this symbol. Nothing here unwinds, so it is never
/// called.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Like [`rust_eh_personality`].
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() {}

#[link(name = "c")]
unsafe extern "C" {
    fn abort() -> !;
    fn write(file: i32, bytes: *const u8, len: usize) -> isize;
}

/// A file descriptor for formatted output.
struct Output(i32);

impl Output {
    fn stdout() -> Self {
        Self(1)
    }

    fn stderr() -> Self {
        Self(2)
    }
}

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            // SAFETY: the pointer and the length are those of one slice, which lives until the call returns.
            let written = unsafe { write(self.0, rest.as_ptr(), rest.len()) };
            let written = usize::try_from(written).map_err(|_| fmt::Error)?;
            rest = rest.get(written..).ok_or(fmt::Error)?;
        }
        Ok(())
    }
}
