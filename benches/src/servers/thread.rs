//! The thread of a server or of a client, and its runtime.

use std::io;
use std::net::TcpListener;

use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::runtime::{Builder, Runtime};

/// Keeps this thread, and the threads that it starts, on one processor, if there is a processor with this number.
pub fn pin(processor: usize) {
    if std::thread::available_parallelism().is_ok_and(|processors| processors.get() > processor) {
        let mut set = CpuSet::new();
        set.set(processor);
        // If the system refuses, the figures are noisier, but still correct.
        let _ = sched_setaffinity(None, &set);
    }
}

/// A tokio runtime without threads: it runs during `block_on`, on the thread of the caller.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Runs `future` on a tokio runtime of this thread.
pub(super) fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    Ok(runtime()?.block_on(future))
}

/// Runs `connection` for every new connection.
pub(super) fn serve<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    connection: impl Fn(tokio::net::TcpStream) -> F,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(connection(stream));
        }
    })?
}
