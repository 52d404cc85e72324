//! Unix sockets for programs of the same user on the same machine.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as StdListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use tokio::net::UnixListener;

/// Connections that the kernel completes before they are accepted: people at shells.
const BACKLOG: i32 = 8;

/// The pause after the system refused a connection, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Read and write for the owner: who may not read the switch's files may not listen to its calls either.
const OWNER_ONLY: u32 = 0o600;

/// A listening Unix socket; its file goes with it.
#[derive(Debug)]
pub struct LocalListener {
    listener: UnixListener,
    path: PathBuf,
}

impl LocalListener {
    /// Listens at `path`, for this user (and root) only. The file that a killed switch left there is replaced. Call it
    /// within a tokio runtime.
    ///
    /// # Errors
    /// Somebody listens there, the folder is missing or not ours, or the path has more than 107 octets.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let listener = match listen_at(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_over(path) => {
                std::fs::remove_file(path)?;
                listen_at(path)?
            }
            bound => bound?,
        };
        Ok(Self {
            listener: UnixListener::from_std(listener)?,
            path: path.to_owned(),
        })
    }

    /// The next connection, which blocks. May be dropped at any await and called again.
    pub async fn accept(&self) -> UnixStream {
        loop {
            let accepted = self.listener.accept().await.and_then(|(stream, _)| {
                let stream = stream.into_std()?;
                stream.set_nonblocking(false)?;
                Ok(stream)
            });
            match accepted {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        // If it is gone already, somebody has tidied up.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn listen_at(path: &Path) -> io::Result<StdListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // Before bind, so that the file never has other rights: Linux gives it those of the socket.
    let socket = std::fs::File::from(socket);
    socket.set_permissions(std::fs::Permissions::from_mode(OWNER_ONLY))?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    listen(&socket, BACKLOG)?;
    Ok(OwnedFd::from(socket).into())
}

/// Nobody listens at the socket's file any more.
fn is_left_over(path: &Path) -> bool {
    UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
