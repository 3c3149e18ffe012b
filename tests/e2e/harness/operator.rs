//! The operator as a process, with a token of its ServiceAccount, never as cluster admin.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::iam::Iam;
use super::world::World;

/// What is logged, unless a test says otherwise.
const LOG: [&str; 2] = ["--log", "info,registry_sts=trace,kube=debug,kube_client::client::builder=debug,aws=debug"];

pub(crate) struct Operator {
    child: Child,
    log: PathBuf,
    /// What the API server's audit log calls the token of this very process.
    pub(crate) credential: String,
}

impl Operator {
    /// Starts the operator for the world's namespace, with the world's AWS.
    pub(crate) async fn start(world: &World) -> Self {
        Self::start_with(world, world.plane.info("aws"), &[]).await
    }

    /// Starts the operator with another way to the API server.
    pub(crate) async fn start_through(world: &World, server: &str) -> Self {
        Self::spawn(world, server, world.plane.info("aws"), &[], &[]).await
    }

    /// Starts the operator with another AWS, and with variables.
    pub(crate) async fn start_with_variables(world: &World, aws: &str, variables: &[(&str, &str)]) -> Self {
        Self::spawn(world, world.plane.info("server"), aws, &[], variables).await
    }

    /// Starts the operator with another AWS, and with flags.
    pub(crate) async fn start_with(world: &World, aws: &str, flags: &[&str]) -> Self {
        Self::spawn(world, world.plane.info("server"), aws, flags, &[]).await
    }

    /// Starts one of several processes that elect a leader among them.
    pub(crate) async fn start_as_candidate(world: &World, lease: &str) -> Self {
        Self::start_as_candidate_through(world, world.plane.info("server"), lease).await
    }

    /// Starts one of several processes that elect a leader, with another way to the API server.
    pub(crate) async fn start_as_candidate_through(world: &World, server: &str, lease: &str) -> Self {
        let flags = ["--lease-namespace", "registry-sts", "--lease-name", lease];
        Self::spawn(world, server, world.plane.info("aws"), &flags, &[]).await
    }

    /// Starts the operator with the world's AWS, with flags and with variables.
    pub(crate) async fn start_telling(world: &World, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::spawn(world, world.plane.info("server"), world.plane.info("aws"), flags, variables).await
    }

    async fn spawn(world: &World, server: &str, aws: &str, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut arguments = vec!["run"];
        arguments.extend(world.namespaces.iter().flat_map(|namespace| ["--namespace", namespace]));
        arguments.extend(flags);
        arguments.extend((!flags.contains(&"--lease-name")).then_some("--no-leader-election"));
        arguments.extend(if flags.contains(&"--log") { &[][..] } else { &LOG[..] });
        Self::start_exactly(world, (server, aws), &arguments, variables).await
    }

    /// Starts a process with these arguments and no others.
    pub(crate) async fn start_exactly(
        world: &World,
        (server, aws): (&str, &str),
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let (kubeconfig, credential) = world.operator_kubeconfig(server).await;
        let log = world.dir.path().join(format!("operator-{}.log", credential.replace(['=', '/'], "-")));
        let child = Command::new(env!("CARGO_BIN_EXE_registry-sts"))
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", kubeconfig)
            .env("AWS_ENDPOINT_URL", aws)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(log.with_extension("out")).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, log, credential }
    }

    /// Of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends the process a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// How the process ended, if it did within the limit.
    pub(crate) async fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        tokio::time::timeout(limit, async {
            loop {
                ticks.tick().await;
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
            }
        })
        .await
        .ok()
    }

    /// Ends the process as Kubernetes does, and asserts that it finished what was under way instead of being cut off.
    pub(crate) async fn ends_gracefully(&mut self) {
        self.ends_gracefully_in("run: stopped").await;
    }

    /// The same, where the last line ends otherwise.
    pub(crate) async fn ends_gracefully_in(&mut self, last_words: &str) {
        self.terminate();
        let ended = self.ended_within(Duration::from_secs(5)).await.expect("it did not end in time");
        assert!(ended.success(), "{ended}");
        let log = self.log();
        // A proof that nobody waits for any more may still have a last word.
        assert!(log.lines().any(|line| line.contains(last_words)), "it was cut off: {:?}", log.lines().last());
    }

    pub(crate) fn log(&self) -> String {
        let out = std::fs::read_to_string(self.log.with_extension("out")).unwrap();
        std::fs::read_to_string(&self.log).unwrap() + &out
    }
}

/// A world in which resource `example` keeps location `default` of `bundle` with the key in `quay-user`, and is Ready.
pub(crate) async fn ready_world(config: &str) -> (World, Iam, Operator) {
    let world = World::granted().await;
    let iam = world.iam("a").await;
    world.put_key("quay-user", &iam.key).await;
    world.put_bundle("bundle", config).await;
    let operator = Operator::start(&world).await;
    world.put_resource("example", "bundle", &[World::location("default", &iam, "quay-user")]).await;
    world.until_ready("example").await;
    (world, iam, operator)
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- the operator's last lines, newest first\n{}", tail.join("\n"));
        }
    }
}
