//! A way to a server on which connections are cut, also in the middle of a request, or that is gone for a while.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) struct Line {
    /// Where the client is to go.
    pub(crate) address: SocketAddr,
    server: String,
    carrying: Option<JoinHandle<()>>,
    /// So that nobody else takes the port while nobody listens there.
    unplugged: Option<TcpSocket>,
}

impl Line {
    /// A line that carries everything.
    pub(crate) async fn to(server: &str) -> Self {
        let server = server.rsplit('/').next().unwrap().to_owned();
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = socket.local_addr().unwrap();
        let mut line = Self { address, server, carrying: None, unplugged: Some(socket) };
        line.heal().await;
        line
    }

    /// From now on every connection is cut that often.
    pub(crate) async fn cut_every(&mut self, pace: Duration) {
        self.carry(Some(pace)).await;
    }

    /// From now on nothing is cut any more.
    pub(crate) async fn heal(&mut self) {
        self.carry(None).await;
    }

    /// Every connection ends, and none is taken any more.
    pub(crate) async fn unplug(&mut self) {
        if let Some(carrying) = self.carrying.take() {
            carrying.abort();
            let _ = carrying.await;
            self.unplugged = Some(bound(self.address));
        }
    }

    async fn carry(&mut self, pace: Option<Duration>) {
        self.unplug().await;
        let listener = self.unplugged.take().unwrap().listen(1024).unwrap();
        self.carrying = Some(tokio::spawn(carry(listener, self.server.clone(), pace)));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(carrying) = &self.carrying {
            carrying.abort();
        }
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    // Connections of before may not have ended for the kernel yet.
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn carry(listener: TcpListener, server: String, pace: Option<Duration>) {
    let mut pace = pace.map(tokio::time::interval);
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    loop {
        let cut = async {
            match &mut pace {
                Some(pace) => pace.tick().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = listener.accept() => {
                let (mut client, _) = accepted.unwrap();
                let server = server.clone();
                connections.spawn(async move {
                    // A server that is not there takes no connection, and the client is told by the end of its own.
                    if let Ok(mut server) = TcpStream::connect(server).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
            _ = cut => connections = JoinSet::new(),
        }
    }
}
