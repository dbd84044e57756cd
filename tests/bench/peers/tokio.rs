//! A tokio runtime on one thread, a task for each connection.

use std::future;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep_until};

use super::{BUFFER_BYTES, SLOT_DELAY, add, announce};

pub fn serve(directory: &Path) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(listen(directory))
}

async fn listen(directory: &Path) -> io::Result<()> {
    let echo_path = directory.join("echo.sock");
    let sum_path = directory.join("sum.sock");
    let echo_tcp = TcpListener::bind("127.0.0.1:0").await?;
    let sum_tcp = TcpListener::bind("127.0.0.1:0").await?;
    let echo_unix = UnixListener::bind(&echo_path)?;
    let sum_unix = UnixListener::bind(&sum_path)?;
    let slot_path = directory.join("slot.sock");
    let slot_unix = UnixListener::bind(&slot_path)?;
    announce(&[
        ("echo", &format_args!("tcp://{}", echo_tcp.local_addr()?)),
        ("sum", &format_args!("tcp://{}", sum_tcp.local_addr()?)),
        ("echo", &format_args!("unix:{}", echo_path.display())),
        ("sum", &format_args!("unix:{}", sum_path.display())),
        ("slot", &format_args!("unix:{}", slot_path.display())),
    ])?;
    accept_tcp(echo_tcp, echo);
    accept_tcp(sum_tcp, sum);
    accept_unix(echo_unix, echo);
    accept_unix(sum_unix, sum);
    accept_unix(slot_unix, slot);
    future::pending().await
}

fn accept_tcp<F>(listener: TcpListener, talk: fn(tokio::net::TcpStream) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    tokio::spawn(async move {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                drop(stream.set_nodelay(true));
                tokio::spawn(talk(stream));
            }
        }
    });
}

fn accept_unix<F>(listener: UnixListener, talk: fn(tokio::net::UnixStream) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    tokio::spawn(async move {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream));
            }
        }
    });
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            len => stream.write_all(&buffer[..len]).await?,
        }
    }
}

async fn sum(stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut stream = BufReader::with_capacity(BUFFER_BYTES, stream);
    let mut line = String::new();
    let mut sum = 0;
    while stream.read_line(&mut line).await? > 0 && add(&mut sum, &line) {
        line.clear();
    }
    stream
        .write_all(format!("Result = {sum}\n").as_bytes())
        .await
}

/// Lines only, which is all that the bench sends.
async fn slot(stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    static MESSAGE: Mutex<String> = Mutex::new(String::new());
    let message = || {
        MESSAGE
            .lock()
            .map_err(|_| io::Error::other("a task panicked"))
    };
    let mut stream = BufReader::with_capacity(BUFFER_BYTES, stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if line.trim().is_empty() {
        return stream.write_all(b"error: the message is empty\n").await;
    }
    let due = Instant::now() + SLOT_DELAY;
    *message()? = line;
    sleep_until(due).await;
    let reply = message()?.clone();
    stream.write_all(reply.as_bytes()).await
}
