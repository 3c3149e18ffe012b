//! The same plan from a terminal: as a script, and made at once; and an operator that takes over what was made.

use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use crate::account::Account;
use crate::harness::verb::Ended;
use crate::harness::world::apply;
use crate::prober::assume;

fn identity_file(account: &Account) -> String {
    let identity = json!({"apiVersion": "registry-sts.dev/v1alpha1", "kind": "StorageIdentity",
        "metadata": {"name": "quay-user", "namespace": account.world.namespace},
        "spec": {"trust": "user", "storage": [{"bucket": account.bucket}]}});
    let path = account.world.dir.path().join("identity.yaml");
    std::fs::write(&path, identity.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs the verb as somebody at a terminal, with the credentials that the AWS CLI finds.
async fn provision(account: &Account, flags: &[&str]) -> Ended {
    let session = account.own_session().await;
    let text = |field: &str| session[field].as_str().unwrap().to_owned();
    let (policy, identity) = (account.policy_file(), identity_file(account));
    let output = Command::new(env!("CARGO_BIN_EXE_registry-sts"))
        .args(["provision", "-f", &policy, "-f", &identity, "--cluster-id", &account.cluster])
        .args(flags)
        .env_clear()
        .env("AWS_ENDPOINT_URL", account.world.plane.info("aws"))
        .env("AWS_ACCESS_KEY_ID", text("access_key"))
        .env("AWS_SECRET_ACCESS_KEY", text("secret_key"))
        .env("AWS_SESSION_TOKEN", text("session_token"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// The words of a line, as a shell has them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for letter in line.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// `create-user` is `CreateUser`, and `--user-name` is `UserName`.
fn camel(text: &str) -> String {
    let upper = |part: &str| part[..1].to_uppercase() + &part[1..];
    text.split('-').map(upper).collect()
}

/// A command of the AWS CLI as the peer's requests take it.
fn request(line: &str) -> (String, Value) {
    let words = words(line);
    assert_eq!(words[..2], ["aws", "iam"], "{line}");
    let mut args: Map<String, Value> = Map::new();
    let mut flag = String::new();
    for word in &words[3..] {
        if let Some(name) = word.strip_prefix("--") {
            flag = camel(name);
        } else if flag == "Tags" {
            let (key, value) = word.strip_prefix("Key=").unwrap().split_once(",Value=").unwrap();
            let tags = args.entry("Tags").or_insert_with(|| json!([]));
            tags.as_array_mut().unwrap().push(json!({"Key": key, "Value": value}));
        } else {
            args.insert(flag.clone(), json!(word));
        }
    }
    (words[2].replace('-', "_"), Value::Object(args))
}

#[tokio::test]
async fn the_commands_that_are_printed_make_what_is_asked_for() {
    let account = Account::new().await;
    let printed = provision(&account, &["--from-nothing"]).await;
    assert_eq!((printed.code, printed.err.as_str()), (0, ""), "{}", printed.told());
    let commands: Vec<&str> = printed.out.lines().filter(|line| !line.starts_with('#')).collect();
    let steps = printed
        .out
        .lines()
        .filter(|line| line.starts_with("# ") && line.contains(". ") && line.as_bytes()[2].is_ascii_digit());
    assert_eq!(steps.count(), commands.len(), "{}", printed.out);
    for command in &commands {
        let (call, args) = request(command);
        // With nothing but the operator's rights, as whoever runs the script may have.
        let request = json!({"service": "iam", "call": call, "args": args, "as": account.own_session().await});
        let reply = account.world.plane.request(request).await;
        assert!(reply.get("error").is_none(), "{command}: {reply}");
    }
    let then = provision(&account, &[]).await;
    assert_eq!(then.code, 0, "{}", then.told());
    assert!(then.err.contains("nothing is missing"), "{}", then.told());
}

#[tokio::test]
async fn what_was_made_from_a_terminal_is_taken_over_by_the_operator_as_it_is() {
    let account = Account::new().await;
    let made = provision(&account, &["--apply"]).await;
    assert_eq!(made.code, 0, "{}", made.told());
    for done in ["create user", "create role", "create an access key"] {
        assert!(made.err.contains(&format!("done: {done}")), "{}", made.err);
    }
    let secret: Value = serde_yaml::from_str(made.out.trim_start_matches("---\n")).unwrap();
    let value = |key: &str| secret["stringData"][key].as_str().unwrap().to_owned();
    account.world.must_not_be_told(&value("AWS_SECRET_ACCESS_KEY"));
    assert!(!made.err.contains(&value("AWS_SECRET_ACCESS_KEY")));
    // Who applies it has what the operator would have written.
    apply(&account.world.admin, &secret).await;
    let operator = account.operator().await;
    account.put_identity("quay-user", json!({})).await;
    account.put_registry("quay-user").await;
    account.until_settled("quay-user").await;
    account.until_consumed("quay-user").await;
    let user = account.named("quay-user").await;
    assert_eq!(account.keys(&user).await, [(value("AWS_ACCESS_KEY_ID"), true)].into());
    let key = account.key_in("quay-user").await;
    let role = account.aws("get_role", json!({"RoleName": user})).await["Role"]["Arn"].as_str().unwrap().to_owned();
    assert_eq!(assume(&account.world, &key, &role).await, None);
    account.world.assert_nothing_secret_was_told(&operator.log()).await;

    let again = provision(&account, &["--apply"]).await;
    assert_eq!((again.code, again.out.as_str()), (0, ""), "{}", again.told());
    assert!(again.err.contains("nothing is missing"), "{}", again.told());
}
