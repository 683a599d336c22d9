//! A TCP connection that ends in time, and that no peer can fill memory through.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use pgpki_core::name::Host;

use super::error::{TooMuch, time_left, timed_out};
use super::{Cause, Endpoint, Stage};

/// The most that is read from one connection, in bytes. A TLS handshake message has 64 KiB at the
/// most, in rustls; a server sends a few of them.
const MOST: usize = 512 << 10;

/// How long a server may take to see that we are leaving.
const FAREWELL: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    deadline: Instant,
    /// How much may still be read.
    left: usize,
}

impl Connection {
    /// Connects to the first address of the endpoint that takes the connection.
    pub(super) fn open(endpoint: &Endpoint, deadline: Instant) -> Result<Self, Cause> {
        Self::to_one_of(resolve(endpoint, deadline)?, deadline)
    }

    /// Each address gets an equal share of the time that is left, so that one that is silent does
    /// not use up all of it.
    fn to_one_of(addresses: Vec<SocketAddr>, deadline: Instant) -> Result<Self, Cause> {
        let mut failed = Vec::new();
        let mut waiting = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        for address in addresses {
            let share = time_left(deadline).map(|left| left / waiting.max(1));
            waiting = waiting.saturating_sub(1);
            match share.and_then(|share| TcpStream::connect_timeout(&address, share)) {
                Ok(stream) => return Self::over(stream, address, deadline),
                Err(error) => failed.push((address, error)),
            }
        }
        Err(Cause::NoConnection(failed))
    }

    fn over(stream: TcpStream, address: SocketAddr, deadline: Instant) -> Result<Self, Cause> {
        // Each message is waited for, so there is nothing to collect before sending.
        let settled = stream.set_nodelay(true);
        settled.map_err(|error| Cause::of_io(error, Stage::Connecting))?;
        Ok(Self {
            stream,
            address,
            deadline,
            left: MOST,
        })
    }

    /// The address that took the connection.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Writes a message. A peer that has hung up already is no failure here: it may have said why,
    /// and reading shows that it has.
    pub(super) fn send(&mut self, message: &[u8], stage: Stage) -> Result<(), Cause> {
        match self.write_all(message).map_err(|e| Cause::of_io(e, stage)) {
            Err(Cause::Closed(_)) => Ok(()),
            sent => sent,
        }
    }

    /// Closes the connection so that the server has nothing to complain of in its log: what it has
    /// sent is read, but not for long.
    pub(super) fn leave(mut self) {
        self.deadline = self.deadline.min(Instant::now() + FAREWELL);
        // Whether the peer takes notice is up to it.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let mut rest = [0; 4096];
        while matches!(self.read(&mut rest), Ok(read) if read > 0) {}
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(TooMuch { limit: MOST }));
        }
        let room = buffer.len().min(self.left);
        let buffer = buffer.get_mut(..room).unwrap_or_default();
        self.stream
            .set_read_timeout(Some(time_left(self.deadline)?))?;
        let read = self.stream.read(buffer).map_err(in_words)?;
        self.left = self.left.saturating_sub(read);
        Ok(read)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream
            .set_write_timeout(Some(time_left(self.deadline)?))?;
        self.stream.write(bytes).map_err(in_words)
    }

    /// A flight of several messages in one go, as rustls hands it over.
    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.stream
            .set_write_timeout(Some(time_left(self.deadline)?))?;
        self.stream.write_vectored(parts).map_err(in_words)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A socket with a time limit says that it would block.
fn in_words(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => timed_out(),
        _ => error,
    }
}

fn resolve(endpoint: &Endpoint, deadline: Instant) -> Result<Vec<SocketAddr>, Cause> {
    let at = |ip: IpAddr| vec![SocketAddr::new(ip, endpoint.port)];
    match (endpoint.address, &endpoint.host) {
        (Some(ip), _) => Ok(at(ip)),
        (None, Host::Ip(ip)) => Ok(at(*ip)),
        (None, Host::Dns(name)) => look_up(name.clone(), endpoint.port, deadline),
    }
}

/// getaddrinfo(3) takes no time limit. It runs in a thread of its own, which is left to itself when
/// it takes too long, and ends when the resolver's own patience does.
fn look_up(name: String, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, Cause> {
    let failed = |error: io::Error| Cause::NotResolved(error.to_string());
    let (sender, receiver) = mpsc::channel();
    let resolver = thread::Builder::new().name("resolver".to_owned());
    let spawned = resolver.spawn(move || {
        let addresses = (name.as_str(), port).to_socket_addrs();
        // Nobody may be waiting any more.
        let _ = sender.send(addresses.map(Iterator::collect::<Vec<_>>));
    });
    spawned.map_err(failed)?;
    let left = time_left(deadline).map_err(failed)?;
    match receiver.recv_timeout(left) {
        Ok(Ok(addresses)) if addresses.is_empty() => {
            Err(Cause::NotResolved("it has no address".to_owned()))
        }
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(failed(timed_out())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn addresses_are_tried_in_order() {
        let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (closed, open, other) = (listener(), listener(), listener());
        let address = |listener: &TcpListener| listener.local_addr().unwrap();
        let (nobody, first, second) = (address(&closed), address(&open), address(&other));
        drop(closed);
        let deadline = Instant::now() + Duration::from_secs(10);
        let connect = |addresses: &[SocketAddr]| Connection::to_one_of(addresses.into(), deadline);
        let reached = connect(&[nobody, first, second]).unwrap();
        assert_eq!(reached.address(), first);
        let Err(Cause::NoConnection(attempts)) = connect(&[nobody, nobody]) else {
            panic!("somebody took the connection");
        };
        assert_eq!(attempts.len(), 2);
    }

    #[test]
    fn no_more_is_read_than_there_is_room_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut connection = Connection::to_one_of(vec![address], deadline).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let flood = std::thread::spawn(move || while peer.write_all(&[0; 4096]).is_ok() {});
        let mut all = Vec::new();
        let error = connection.read_to_end(&mut all).unwrap_err();
        assert_eq!(all.len(), MOST);
        let cause = Cause::of_io(error, Stage::Handshake);
        assert!(
            matches!(cause, Cause::TooMuch { limit: MOST, .. }),
            "{cause}"
        );
        drop(connection);
        flood.join().unwrap();
    }
}
