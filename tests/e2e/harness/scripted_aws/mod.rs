//! AWS played by a script, for answers that no other peer gives: STS and S3 on loopback, where every request succeeds
//! as AWS spells it until a test says what one of an account's operations is answered instead.

mod http;
mod script;
mod store;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::iam::{Iam, Key};
use super::world::{World, eventually};
pub(crate) use http::Http;
use http::Message;
pub(crate) use script::{Asked, Reply, Rule};
use store::{About, Store, sts_answer};
pub(crate) use store::{REQUEST_ID, s3_error, s3_error_in, sts_error};

struct Account {
    key: Key,
    role: String,
    user: String,
    region: String,
    rules: Vec<Rule>,
}

#[derive(Default)]
struct State {
    /// By bucket.
    accounts: HashMap<String, Account>,
    /// By access key: whose it is, and for which region the request for it was signed.
    sessions: HashMap<String, (String, String)>,
    store: Store,
    asked: Vec<Asked>,
    secret: String,
    token: String,
}

pub(crate) struct ScriptedAws {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    serving: Option<JoinHandle<()>>,
}

impl ScriptedAws {
    pub(crate) fn start(world: &World) -> Self {
        let (mut aws, socket) = Self::unplugged(world);
        aws.plug_in(socket);
        aws
    }

    /// One whose port is its own, though nobody listens there.
    pub(crate) fn unplugged(world: &World) -> (Self, TcpSocket) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let name = &world.namespace;
        let state = State {
            secret: format!("scripted/session/secret/of+{name}+"),
            token: format!("scripted//session//token//of//{name}//"),
            ..State::default()
        };
        world.must_not_be_told(&state.secret);
        world.must_not_be_told(&state.token);
        (Self { url, state: Arc::new(Mutex::new(state)), serving: None }, socket)
    }

    pub(crate) fn plug_in(&mut self, socket: TcpSocket) {
        let listener = socket.listen(1024).unwrap();
        let state = Arc::clone(&self.state);
        self.serving = Some(tokio::spawn(accept(listener, state)));
    }

    /// A user with a key, in the Secret `<name>-key`, its role and its bucket.
    pub(crate) async fn account(&self, world: &World, name: &str, region: &str) -> Iam {
        let (user, bucket) = (format!("{}-{name}", world.namespace), format!("{}-{name}", world.namespace));
        let iam = {
            let mut state = self.state.lock().unwrap();
            let id = format!("AKIASCRIPTED{:04}", state.accounts.len());
            let secret = format!("secret/of/{id}/in/{}", world.namespace);
            let role_arn = format!("arn:aws:iam::123456789012:role/{user}-role");
            let key = Key { id, secret };
            let account = Account {
                key: key.clone(),
                role: role_arn.clone(),
                user: format!("arn:aws:iam::123456789012:user/{user}"),
                region: region.to_owned(),
                rules: Vec::new(),
            };
            state.accounts.insert(bucket.clone(), account);
            Iam { user, role_arn, bucket, key }
        };
        world.must_not_be_told(&iam.key.secret);
        world.put_key(&format!("{name}-key"), &iam.key).await;
        iam
    }

    /// From now on an account's requests are answered so; the first rule that fits counts.
    pub(crate) fn script(&self, account: &Iam, rules: &[Rule]) {
        self.state.lock().unwrap().accounts.get_mut(&account.bucket).unwrap().rules = rules.to_vec();
    }

    /// From now on an account's requests succeed.
    pub(crate) fn heal(&self, account: &Iam) {
        self.script(account, &[]);
    }

    /// What was asked for an account, in the order in which it came.
    pub(crate) fn asked(&self, account: &Iam) -> Vec<Asked> {
        let state = self.state.lock().unwrap();
        state.asked.iter().filter(|asked| asked.account == account.bucket).cloned().collect()
    }

    /// How often an operation was asked for.
    pub(crate) fn count(&self, account: &Iam, operation: &str) -> usize {
        self.asked(account).iter().filter(|asked| asked.operation == operation).count()
    }

    /// Waits until an operation was asked for so often.
    pub(crate) async fn until_asked(&self, account: &Iam, operation: &str, times: usize) {
        let what = format!("{operation} is asked for {times} times by {}", account.user);
        eventually(&what, || async { (self.count(account, operation) >= times).then_some(()) }).await;
    }

    /// How many objects and uploads an account's bucket has.
    pub(crate) fn stored(&self, account: &Iam) -> usize {
        self.state.lock().unwrap().store.count(&account.bucket)
    }
}

impl Drop for ScriptedAws {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

impl State {
    /// What is answered, and what a success would have been, where that is needed.
    fn answer(&mut self, message: &Message) -> (Option<Reply>, Http) {
        let (signer, region) = credential(message);
        let form = message.form();
        let action = form.get("Action").map(String::as_str);
        let about = About::of(message);
        let operation = match action {
            Some("AssumeRole") => "AssumeRole",
            Some("AssumeRoleWithWebIdentity") => "AssumeRoleWithWebIdentity",
            Some("GetCallerIdentity") => "GetCallerIdentity",
            _ => about.operation,
        };
        let assumed = form.get("RoleArn").map_or("", String::as_str);
        let is_whose = |account: &Account| account.key.id == signer || (signer.is_empty() && account.role == assumed);
        let by_key = || self.accounts.iter().find(|(_, account)| is_whose(account)).map(|(bucket, _)| bucket.clone());
        let session = self.sessions.get(&signer).cloned();
        let (whose, session_region) = match (session, action) {
            (Some((whose, region)), None) => (whose, region),
            (_, Some(_)) => (by_key().unwrap_or_default(), String::new()),
            (None, None) => (String::new(), String::new()),
        };
        let Some(account) = self.accounts.get(&whose) else {
            return (None, sts_error(403, "InvalidClientTokenId", "The security token included is invalid."));
        };
        let asked = Asked {
            stored: self.store.count(&whose),
            account: whose.clone(),
            is_s3: action.is_none(),
            operation,
            key: about.key.clone(),
            region: region.clone(),
            session_region,
            encrypted: message.header("x-amz-server-side-encryption") == "AES256",
        };
        let rule = account.rules.iter().find(|rule| rule.is_of(&asked)).cloned();
        self.asked.push(asked);
        let needed = rule.as_ref().is_none_or(|rule| {
            rule.done || matches!(rule.reply, Reply::CutShort(_) | Reply::BrokenOff | Reply::Stuck | Reply::Slow(_))
        });
        let success = match action {
            _ if !needed => Http::new(500, ""),
            None => self.store.answer(message, &about, &account.region),
            Some(action) => {
                let id = format!("ASIASCRIPTED{:04}", self.sessions.len());
                let answer = sts_answer(action, &form, &account.user, [&id, &self.secret, &self.token]);
                self.sessions.insert(id, (whose, region));
                answer
            }
        };
        (rule.map(|rule| rule.reply), success)
    }
}

/// Whose key signed a request, and for which region.
fn credential(message: &Message) -> (String, String) {
    let scope = message.header("authorization").split_once("Credential=").map_or("", |(_, scope)| scope);
    let mut parts = scope.split('/');
    let id = parts.next().unwrap_or_default().to_owned();
    (id, parts.nth(1).unwrap_or_default().to_owned())
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    // Dropped with this task, and all connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&state)));
    }
}

/// Answers a connection's requests until the client or the script ends it.
async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut rest = Vec::new();
    while let Some(message) = Message::read(&mut stream, &mut rest).await {
        let is_head = message.method == "HEAD";
        let (reply, success) = state.lock().unwrap().answer(&message);
        let (head, body) = success.wire(is_head);
        let (first, second) = body.split_at(body.len() / 2);
        match reply {
            None => send(&mut stream, &[&head, &body]).await,
            Some(Reply::Says(http)) => {
                let (head, body) = http.wire(is_head);
                send(&mut stream, &[&head, &body]).await;
            }
            Some(Reply::CutShort(text)) => {
                let end = body.windows(text.len()).position(|bytes| bytes == text.as_bytes()).unwrap();
                let first = body[..end + text.len()].to_vec();
                let (head, body) = Http { body: first, ..success.clone() }.wire(is_head);
                send(&mut stream, &[&head, &body]).await;
            }
            Some(Reply::BrokenOff) => return send(&mut stream, &[&head, first]).await,
            Some(Reply::Stuck) => {
                send(&mut stream, &[&head, first]).await;
                return until_gone(&mut stream).await;
            }
            Some(Reply::Slow(pause)) => {
                send(&mut stream, &[&head, first]).await;
                // The time on the way is what is simulated here.
                tokio::time::sleep(pause).await;
                send(&mut stream, &[second]).await;
            }
            Some(Reply::Closed) => return,
            Some(Reply::Reset) => return stream.set_zero_linger().unwrap(),
            Some(Reply::Never) => return until_gone(&mut stream).await,
        }
    }
}

async fn send(stream: &mut TcpStream, parts: &[&[u8]]) {
    // A client that is gone finds nothing to read, and the next read ends the connection.
    let _ = stream.write_all(&parts.concat()).await;
}

async fn until_gone(stream: &mut TcpStream) {
    let mut nothing = [0; 64];
    while let Ok(1..) = stream.read(&mut nothing).await {}
}
