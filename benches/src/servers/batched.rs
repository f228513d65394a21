//! A stream that writes before it reads, for peers that would otherwise write every frame by itself.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// The number of collected bytes that causes a write without a read.
const FULL: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Batched {
    stream: TcpStream,
    out: Vec<u8>,
    written: usize,
}

impl Batched {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, out: Vec::with_capacity(FULL), written: 0 }
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            self.written += ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out[self.written..]))?;
        }
        self.out.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Batched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_out(cx) {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Batched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.out.len() + bytes.len() > FULL {
            ready!(self.poll_out(cx))?;
        }
        self.out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl wtx::stream::StreamReader for Batched {
    async fn read(&mut self, bytes: &mut [u8]) -> wtx::Result<usize> {
        Ok(AsyncReadExt::read(self, bytes).await?)
    }
}

impl wtx::stream::StreamWriter for Batched {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        Ok(AsyncWriteExt::write_all(self, bytes).await?)
    }

    async fn write_all_vectored(&mut self, slices: &[&[u8]]) -> wtx::Result<()> {
        for slice in slices {
            AsyncWriteExt::write_all(self, slice).await?;
        }
        Ok(())
    }
}
