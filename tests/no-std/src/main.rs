//! Both roles of multiwa-ws-core in a program without std, in a fixed amount of memory.
//!
//! It proves by linking that neither core nor anything below it needs std: std brings a panic handler of its own, and the
//! compiler refuses a program with two. It proves by running that both peers do their work within [`arena::SIZE`] bytes
//! each, and prints what they took.
//!
//! `unsafe` is allowed here and nowhere else in the project, for what std would do: the allocator, the panic handler, the
//! entry point. What drives the peers, in [`mod@session`], is safe.
#![no_std]
#![no_main]

mod arena;
mod session;

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use arena::{Arenas, Owner};

#[global_allocator]
static ARENAS: Arenas = Arenas::new();

/// What the C start-up code calls.
///
/// The name is the one that code knows, and nothing else in the program has it.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    let idle = session::run(&ARENAS);
    for (owner, idle) in [(Owner::Client, idle.client), (Owner::Server, idle.server)] {
        let peak = ARENAS.peak(owner);
        // Nobody reads on: that is no failure of the peers.
        _ = writeln!(Output::stdout(), "{owner:?}: {peak} bytes at most, {idle} while the connection is idle");
    }
    0
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    _ = writeln!(Output::stderr(), "{info}");
    // SAFETY: it takes nothing and does not return.
    unsafe { abort() }
}

/// The alloc that Rust comes with is built to unwind, and asks for this. Nothing here unwinds: it is never called.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// As [`rust_eh_personality`].
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() {}

#[link(name = "c")]
unsafe extern "C" {
    fn abort() -> !;
    fn write(file: i32, bytes: *const u8, len: usize) -> isize;
}

/// A file descriptor as a place to print to.
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
