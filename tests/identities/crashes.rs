//! The operator is killed after each call to IAM in turn, before it hears of the answer, and started again: whatever the call
//! was, the key is replaced in the end, nobody who holds a key is ever refused, and no key is left over.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use futures::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use crate::account::{Account, says};
use crate::harness::operator::Operator;
use crate::prober::Probers;

/// What one life of a key takes: user and role with their policies, and three notes around each key; then the old one is
/// noted, deactivated, noted again, deleted, and its note removed.
const CALLS: [&str; 17] = [
    "CreateUser",
    "PutUserPolicy",
    "CreateRole",
    "PutRolePolicy",
    "TagUser",
    "CreateAccessKey",
    "TagUser",
    "TagUser",
    "TagUser",
    "CreateAccessKey",
    "TagUser",
    "TagUser",
    "TagUser",
    "UpdateAccessKey",
    "TagUser",
    "DeleteAccessKey",
    "UntagUser",
];
/// The calls before which a Secret is written: the process also dies between the two.
const AFTER_SECRETS: [usize; 2] = [8, 12];

/// When the operator is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// After this call was done, counted from 1; nobody hears of it.
    After(usize),
    /// Before this call gets there.
    Before(usize),
}

/// A way to AWS on which the operator is killed.
struct Scaffold {
    url: String,
    calls: Arc<std::sync::Mutex<Vec<String>>>,
    pid: Arc<AtomicU32>,
    cut: Arc<Notify>,
    _carrying: AbortOnDropHandle<()>,
}

impl Scaffold {
    async fn new(aws: &str, cut: Cut) -> Self {
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
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_killed_after_any_call_to_iam_leaves_no_key_behind_and_nobody_refused() {
    let after = (1..=CALLS.len()).map(Cut::After);
    let cuts: Vec<Cut> = after.chain(AFTER_SECRETS.map(Cut::Before)).collect();
    let tries = join_all(cuts.into_iter().map(|cut| tokio::spawn(live(cut)))).await;
    let tries: usize = tries.into_iter().map(|lived| lived.unwrap()).sum();
    eprintln!("{} lives, {tries} tries of the role meanwhile", CALLS.len() + AFTER_SECRETS.len());
}

/// A whole life of a key with one cut in it. How often the role was tried.
async fn live(cut: Cut) -> usize {
    let account = Arc::new(Account::new().await);
    let scaffold = Scaffold::new(account.world.plane.info("aws"), cut).await;
    let first = account.operator_at(&scaffold.url).await;
    scaffold.pid.store(first.id(), Ordering::SeqCst);
    let operators = tokio::spawn(revive(Arc::clone(&account), first, Arc::clone(&scaffold.cut)));
    account.put_identity("quay-user", json!({})).await;
    account.put_registry("quay-user").await;
    account.until_ready("quay-user").await;
    account.until_consumed("quay-user").await;
    let before = account.key_in("quay-user").await;
    let user = account.named("quay-user").await;
    let probers = Probers::start(&account, "quay-user").await;

    account.rotate("quay-user").await;
    let is_other = |four: &str| !before.id.ends_with(four);
    let has_other = |i: &registry_sts::api::StorageIdentity| {
        let keys = i.status.as_ref().map(|status| status.keys.as_slice()).unwrap_or_default();
        keys.first().is_some_and(|key| is_other(&key.last_four)) && says(i, "Ready").0 == "True"
    };
    account.until("quay-user", "on another key", has_other).await;
    account.until_consumed("quay-user").await;
    account.until_rotating("quay-user", "KeepingOldKey").await;
    account.age(&user, 25).await;
    account.look("quay-user").await;
    account.until_rotating("quay-user", "OldKeyInactive").await;
    account.age(&user, 25).await;
    account.look("quay-user").await;
    account.until_settled("quay-user").await;
    probers.assert_never_refused();

    let after = account.key_in("quay-user").await;
    assert_eq!(account.keys(&user).await.into_iter().collect::<Vec<_>>(), [(after.id.clone(), true)], "{cut:?}");
    let notes = account.tags(&user).await;
    let of_keys: Vec<&String> = notes.keys().filter(|key| key.starts_with("registry-sts.dev/key-")).collect();
    assert_eq!(of_keys, [&format!("registry-sts.dev/key-{}", after.id)], "{cut:?}");
    let calls = scaffold.calls.lock().unwrap().clone();
    let until = match cut {
        Cut::After(number) => number,
        Cut::Before(number) => number - 1,
    };
    assert_eq!(calls, CALLS[..until], "{cut:?}: it was cut elsewhere");
    let operator = operators.await.unwrap();
    account.world.assert_nothing_secret_was_told(&operator.log()).await;
    probers.tries()
}

/// Starts the operator again once it was killed, and no process of it is left.
async fn revive(account: Arc<Account>, mut first: Operator, cut: Arc<Notify>) -> Operator {
    cut.notified().await;
    first.ended_within(std::time::Duration::from_secs(5)).await.expect("it was killed");
    account.operator().await
}
