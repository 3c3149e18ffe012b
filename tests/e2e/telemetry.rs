//! What an administrator sees of the process: metrics, health, logs, traces.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Client, Config};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::harness::iam::Iam;
use crate::harness::operator::Operator;
use crate::harness::scrape::{get, listens, value};
use crate::harness::world::{World, eventually};

const CONFIG: &str = "DB_URI: postgresql://quay:hunter2-of-the-database@db/quay\n";

/// A world with a resource that waits for an operator.
async fn world() -> (World, Iam) {
    let world = World::granted().await;
    let iam = world.put_example(CONFIG).await;
    (world, iam)
}

#[tokio::test]
async fn metrics_tell_what_was_done_without_a_name_of_aws_and_health_whether_it_goes_on() {
    let (world, iam) = world().await;
    let flags = ["--metrics-address", "127.0.0.1:0", "--health-address", "127.0.0.2:0"];
    let mut operator = Operator::start_telling(&world, &flags, &[]).await;
    let (metrics_at, health_at) =
        (listens(&operator, "--metrics-address").await, listens(&operator, "--health-address").await);
    let (metrics_at, health_at) = (format!("http://{metrics_at}"), format!("http://{health_at}"));
    world.until_ready("example").await;
    let ready =
        format!("registry_sts_ready{{namespace=\"{}\",name=\"example\",reason=\"ProvenAndWritten\"}}", world.namespace);
    let told = eventually("the resource is told to be Ready", || async {
        let (_, told) = get(&metrics_at, None, "/metrics").await.unwrap();
        (value(&told, &ready) == Some(1.0)).then_some(told)
    })
    .await;
    assert_eq!(value(&told, "registry_sts_bundle_writes_total{outcome=\"written\"}"), Some(1.0), "{told}");
    assert_eq!(value(&told, "registry_sts_leader"), Some(1.0));
    let assumed = "registry_sts_aws_calls_total{service=\"STS\",operation=\"AssumeRole\",result=\"answered\"}";
    assert_eq!(value(&told, assumed), Some(1.0), "{told}");
    let step = "registry_sts_proof_steps_total{step=\"put\",reason=\"Passed\"}";
    assert_eq!(value(&told, step), Some(1.0), "{told}");
    let resident = value(&told, "process_resident_memory_bytes").unwrap();
    assert!(resident > 1e6 && resident < 2e8, "{resident}");
    let who = format!("{{namespace=\"{}\",name=\"example\"}}", world.namespace);
    let key = world.api::<k8s_openapi::api::core::v1::Secret>().get("quay-user").await.unwrap();
    let created: f64 = key.metadata.creation_timestamp.unwrap().0.as_second().to_string().parse().unwrap();
    let changed = value(&told, &format!("registry_sts_key_changed_timestamp_seconds{who}")).unwrap();
    assert!((changed - created).abs() < 1.5, "{changed}, and the Secret is of {created}");
    let account = iam.role_arn.split(':').nth(4).unwrap();
    for name in [iam.bucket.as_str(), &iam.role_arn, &iam.key.id, account] {
        assert!(!told.contains(name), "{name} in {told}");
    }

    let resources = world.api::<registry_sts::api::QuayStorage>();
    let suspend = serde_json::json!({"spec": {"suspend": true}});
    resources.patch("example", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&suspend)).await.unwrap();
    let suspended =
        format!("registry_sts_ready{{namespace=\"{}\",name=\"example\",reason=\"Suspended\"}}", world.namespace);
    eventually("it is told that nobody looks", || async {
        let (_, told) = get(&metrics_at, None, "/metrics").await.unwrap();
        value(&told, &suspended).map(drop)
    })
    .await;

    assert_eq!(get(&health_at, None, "/healthz").await, Ok((200, "ok\n".into())));
    assert_eq!(get(&health_at, None, "/readyz").await, Ok((200, "ok\n".into())));
    assert_eq!(get(&health_at, None, "/metrics").await.unwrap().0, 404, "each is served where it was asked for");
    resources.delete("example", &kube::api::DeleteParams::default()).await.unwrap();
    eventually("what is gone is not told of", || async {
        let (_, told) = get(&metrics_at, None, "/metrics").await.unwrap();
        (!told.contains("example")).then_some(())
    })
    .await;
    operator.ends_gracefully().await;
}

#[tokio::test]
async fn metrics_are_served_over_tls_with_the_certificate_that_is_mounted_and_health_beside_them() {
    let (world, _iam) = world().await;
    let folder = world.dir.path().join("tls");
    std::fs::create_dir(&folder).unwrap();
    // The API server's own is one for 127.0.0.1.
    for (from, to) in [("apiserver.crt", "tls.crt"), ("apiserver.key", "tls.key")] {
        std::fs::copy(format!("{}/certs/{from}", world.plane.info("dir")), folder.join(to)).unwrap();
    }
    let tls = folder.to_str().unwrap();
    let flags = ["--metrics-address", "127.0.0.1:0", "--metrics-tls", tls, "--health-address", "127.0.0.1:0"];
    let operator = Operator::start_telling(&world, &flags, &[]).await;
    let address = listens(&operator, "--metrics-address").await;
    let ca_file = world.plane.info("ca_file");
    let (status, told) = get(&format!("https://{address}"), Some(ca_file), "/metrics").await.unwrap();
    assert_eq!(status, 200);
    assert!(told.ends_with("# EOF\n") && told.contains("registry_sts_build_info"), "{told}");
    assert!(get(&format!("http://{address}"), None, "/metrics").await.is_err(), "nothing is told in the clear");
    let health = format!("http://{}", listens(&operator, "--health-address").await);
    assert_eq!(get(&health, None, "/healthz").await, Ok((200, "ok\n".into())));

    // Another certificate: self-signed, no client takes it for what it is.
    let other = world.plane.info("issuer_ca_file");
    std::fs::copy(other, folder.join("tls.crt")).unwrap();
    std::fs::copy(other.replace("issuer.crt", "issuer.key"), folder.join("tls.key")).unwrap();
    let base = format!("https://{address}");
    eventually("the old certificate is no longer served", || async {
        get(&base, Some(ca_file), "/metrics").await.is_err().then_some(())
    })
    .await;
    let mut config = Config::new(base.parse().unwrap());
    config.accept_invalid_certs = true;
    let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
    let told = Client::try_from(config).unwrap().request_text(request).await.unwrap();
    assert!(told.ends_with("# EOF\n"), "{told}");
}

#[tokio::test]
async fn what_cannot_be_served_is_said_and_nothing_is_begun() {
    let (world, _iam) = world().await;
    let empty = world.dir.path().to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flags, said) in [
        (vec!["--metrics-address", "127.0.0.1:0", "--metrics-tls", empty], "--metrics-tls"),
        (vec!["--health-address", &address], "--health-address"),
    ] {
        let mut operator = Operator::start_telling(&world, &flags, &[]).await;
        let ended = operator.ended_within(Duration::from_secs(20)).await.expect("it goes on");
        assert_eq!(ended.code(), Some(2), "{}", operator.log());
        assert!(operator.log().lines().last().unwrap().contains(said), "{}", operator.log());
    }
    let secret = world.config("bundle").await;
    assert_eq!(secret, CONFIG);
}

#[tokio::test]
async fn each_pass_is_one_json_line_with_outcome_duration_resource_and_trace() {
    let (world, iam) = world().await;
    let flags = ["--log-format", "json", "--log", "info,registry_sts=debug"];
    let same = ["--metrics-address", "127.0.0.1:0", "--health-address", "127.0.0.1:0"];
    let mut operator = Operator::start_telling(&world, &[flags, same].concat(), &[]).await;
    world.until_ready("example").await;
    let log = operator.log();
    let listening = log.lines().find(|line| line.contains("listening")).expect("it does not listen");
    let listening: Value = serde_json::from_str(listening).unwrap();
    let address = format!("http://{}", listening["address"].as_str().unwrap());
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(get(&address, None, path).await.unwrap().0, 200, "{path} is not served at the address of both");
    }
    let key = world.new_key(&iam.user).await;
    world.put_key("quay-user", &key).await;
    eventually("the key is written", || async { world.config("bundle").await.contains(&key.id).then_some(()) }).await;
    world.until_ready("example").await;
    operator.ends_gracefully_in("stopped\"").await;
    let log = operator.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let passes: Vec<&Value> = lines.iter().filter(|line| line["message"] == "passed over").collect();
    let resource = format!("{}/example", world.namespace);
    for pass in &passes {
        assert_eq!(pass["span"]["resource"], resource, "{pass}");
        assert_eq!(pass["span"]["trace_id"].as_str().map(str::len), Some(32), "{pass}");
        assert!(pass["duration_ms"].is_number() && pass["outcome"].is_string(), "{pass}");
    }
    let traces: std::collections::BTreeSet<&str> =
        passes.iter().map(|pass| pass["span"]["trace_id"].as_str().unwrap()).collect();
    assert_eq!(traces.len(), passes.len(), "each pass has a trace of its own");
    // The same was told twice: that is one Event, counted.
    let events = world.api::<Event>().list(&ListParams::default()).await.unwrap();
    let counts: Vec<Option<i32>> = events
        .into_iter()
        .filter(|event| event.reason.as_deref() == Some("BundleWritten"))
        .map(|event| event.series.map(|series| series.count))
        .collect();
    assert_eq!(counts, [Some(2)]);
    let wrote: Vec<&&Value> = passes.iter().filter(|pass| pass["outcome"] == "wrote").collect();
    assert_eq!(wrote.len(), 2, "{log}");
    assert!(
        wrote
            .iter()
            .all(|pass| pass["level"] == "INFO" && pass["ready"] == true && pass["reason"] == "ProvenAndWritten")
    );
    world.assert_nothing_secret_was_told(&log).await;
}

/// A collector of traces, and what it was sent.
async fn collector() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let collected: Arc<Mutex<Vec<u8>>> = Arc::default();
    let collecting = Arc::clone(&collected);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let collecting = Arc::clone(&collecting);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                loop {
                    let (mut length, mut line) = (0, String::new());
                    while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
                        let header = line.to_ascii_lowercase();
                        length = header.strip_prefix("content-length:").map_or(length, |n| n.trim().parse().unwrap());
                        line.clear();
                    }
                    let mut body = vec![0; length];
                    if length == 0 || stream.read_exact(&mut body).await.is_err() {
                        return;
                    }
                    collecting.lock().unwrap().extend(body);
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                }
            });
        }
    });
    (url, collected)
}

#[tokio::test]
async fn traces_are_sent_to_the_collector_that_the_standard_variables_name_and_hold_nothing_secret() {
    let (world, _iam) = world().await;
    let (url, collected) = collector().await;
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let mut operator = Operator::start_telling(&world, &["--log-format", "json", "--log", "info"], &variables).await;
    world.until_ready("example").await;
    operator.ends_gracefully_in("stopped\"").await;
    let log = operator.log();
    let wrote = log.lines().find(|line| line.contains("\"outcome\":\"wrote\"")).expect("it wrote nothing");
    let wrote: Value = serde_json::from_str(wrote).unwrap();
    let trace = wrote["span"]["trace_id"].as_str().unwrap();
    let trace: Vec<u8> = (0..16).map(|byte| u8::from_str_radix(&trace[2 * byte..2 * byte + 2], 16).unwrap()).collect();
    let sent = collected.lock().unwrap().clone();
    assert!(sent.windows(16).any(|window| window == trace), "the pass of the log line is not among what was sent");
    let text = String::from_utf8_lossy(&sent).into_owned();
    for what in ["registry-sts", "reconcile", "proof", "http.method"] {
        assert!(text.contains(what), "{what} is not among what was sent");
    }
    world.assert_nothing_secret_was_told(&text).await;
}
