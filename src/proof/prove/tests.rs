use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;
use crate::aws::Networks;
use crate::leadership::Fence;
use crate::plan::key::AccessKey;

const ASSUMED: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

/// A host that has one answer for everybody, one connection after the other.
fn host(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 16 * 1024]);
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + body).as_bytes());
        }
    });
    url
}

/// What config-tool's session comes to where the endpoint answers so.
async fn pod_start_of(endpoint_gets_sts: Option<bool>, status: &'static str) -> Result<(), Verdict> {
    let sts = host("200 OK", ASSUMED);
    let allowed = vec!["127.0.0.0/8".parse().unwrap()];
    let variable = |name: &str| (name == "AWS_ENDPOINT_URL_STS").then(|| sts.clone());
    let aws = Aws::from_variables(variable, Networks { allowed, certificates: None }, Fence::open()).unwrap();
    let key = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let key = key.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let target = Target {
        principal: Principal::Key(AccessKey::from_secret("quay-user", &key).unwrap()),
        role: "arn:aws:iam::123492922789:role/quay".parse().ok(),
        sts: crate::consumer::Environment::default().sts(),
        endpoint: Endpoint::Url(host(status, "").parse().unwrap()),
        endpoint_gets_sts,
        signing_region: "us-east-1".into(),
        bucket: "bucket".parse().unwrap(),
        storage_path: "/datastorage".parse().unwrap(),
        kms_key_arn: None,
        certificates: None,
    };
    let (prover, hour) = (Prover::new(aws, None, 100), Duration::from_hours(1));
    let terms = Terms { depth: Depth::Full, namespace: "quay", max_age: hour, asked: None, id: [0; 32], slots: None };
    let driver = prover.sessions.get(&target, Program::Driver, terms).await;
    let driver = driver.unwrap_or_else(|_| panic!("STS answers"));
    prover.session_of_config_tool(&target, &driver, terms).await.map(drop)
}

#[tokio::test]
async fn whether_an_endpoint_that_knows_no_roles_stops_pods_depends_on_the_version_of_quay() {
    let status = "405 Method Not Allowed";
    let Err(Verdict::Failed(failure)) = pod_start_of(Some(true), status).await else { panic!("no pod would start") };
    assert_eq!(failure.reason, Reason::RoleNotAssumable);
    assert!(failure.message.contains("3.17 and later sends AssumeRole to endpointUrl"), "{}", failure.message);
    assert_eq!(pod_start_of(Some(false), status).await, Ok(()), "an older Quay asks STS");
    assert!(matches!(pod_start_of(None, status).await, Err(Verdict::Unknown(_))), "it cannot be known");
}

#[tokio::test]
async fn an_endpoint_that_is_down_has_refused_nothing_and_is_named() {
    let down = pod_start_of(Some(true), "503 Service Unavailable").await;
    let Err(Verdict::Failed(failure)) = down else { panic!("no pod would start now") };
    assert_eq!(failure.reason, Reason::AwsUnreachable);
    assert!(failure.message.starts_with("When a pod starts, config-tool asks http://127.0.0.1"), "{}", failure.message);
    assert!(failure.message.contains(" at http://127.0.0.1"), "{}", failure.message);
}
