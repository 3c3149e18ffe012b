//! A way to AWS on which the operator is killed at one call.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use crate::account::Account;
use crate::harness::operator::Operator;

/// When the operator is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// After this call was done, counted from 1; nobody hears of it.
    After(usize),
    /// Before this call gets there.
    Before(usize),
}

/// A way to AWS on which the operator is killed.
pub(crate) struct Scaffold {
    /// Where AWS is, for the operator.
    pub(crate) url: String,
    calls: Arc<std::sync::Mutex<Vec<String>>>,
    pid: Arc<AtomicU32>,
    cut: Arc<Notify>,
    _carrying: AbortOnDropHandle<()>,
}

impl Scaffold {
    pub(crate) async fn new(aws: &str, cut: Cut) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = aws.rsplit('/').next().unwrap().to_owned();
        let (calls, pid, done) = (Arc::default(), Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let state = (Arc::clone(&calls), Arc::clone(&pid), Arc::clone(&done));
        let count = Arc::new(AtomicUsize::new(0));
        let carrying = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(client, server.clone(), cut, state.clone(), Arc::clone(&count)));
            }
        });
        Self { url, calls, pid, cut: done, _carrying: AbortOnDropHandle::new(carrying) }
    }

    /// Starts the operator on it, and again on the way without it once it was killed and no process of it is left. The second.
    pub(crate) async fn operators(&self, account: &Arc<Account>) -> JoinHandle<Operator> {
        let mut first = account.operator_at(&self.url).await;
        self.pid.store(first.id(), Ordering::SeqCst);
        let (account, cut) = (Arc::clone(account), Arc::clone(&self.cut));
        tokio::spawn(async move {
            cut.notified().await;
            first.ended_within(Duration::from_secs(5)).await.expect("it was killed");
            account.operator().await
        })
    }

    /// That these calls were made, up to the cut.
    pub(crate) fn assert_cut(&self, cut: Cut, calls: &[&str]) {
        let until = match cut {
            Cut::After(number) => number,
            Cut::Before(number) => number - 1,
        };
        let expected: Vec<&str> = calls.iter().copied().take(until).collect();
        assert_eq!(*self.calls.lock().unwrap(), expected, "{cut:?}: it was cut elsewhere");
    }
}

/// The calls so far, who is to be killed, and that it was.
type State = (Arc<std::sync::Mutex<Vec<String>>>, Arc<AtomicU32>, Arc<Notify>);

async fn carry(mut client: TcpStream, server: String, cut: Cut, (calls, pid, done): State, count: Arc<AtomicUsize>) {
    while let Some(request) = message(&mut client, false).await {
        let changes = change(&request);
        let number = changes.as_ref().map_or(0, |_| count.fetch_add(1, Ordering::SeqCst) + 1);
        let kill = || {
            let killed =
                Command::new("kill").args(["-KILL", &pid.load(Ordering::SeqCst).to_string()]).status().unwrap();
            assert!(killed.success());
            done.notify_one();
        };
        if number > 0 && cut == Cut::Before(number) {
            return kill();
        }
        let Ok(mut server) = TcpStream::connect(&server).await else { return };
        server.write_all(&request).await.unwrap();
        let is_head = request.starts_with(b"HEAD ");
        let Some(answer) = message(&mut server, is_head).await else { return };
        calls.lock().unwrap().extend(changes);
        if number > 0 && cut == Cut::After(number) {
            return kill();
        }
        if client.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// One whole request or answer; that to HEAD tells the length of what it does not send.
async fn message(stream: &mut TcpStream, is_head: bool) -> Option<Vec<u8>> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 8192]);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if is_head || bytes.len() >= whole {
                return Some(bytes);
            }
        }
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&piece[..read]),
            _ => return None,
        }
    }
}

/// The action of a call to IAM that changes something.
fn change(request: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(request);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let action = body.split('&').find_map(|pair| pair.strip_prefix("Action="))?;
    let asks = ["Get", "List", "AssumeRole"].iter().any(|asks| action.starts_with(asks));
    (head.contains("/iam/aws4_request") && !asks).then(|| action.to_owned())
}
