//! What S3 answers to a role that was assumed.

use std::time::Duration;

use super::{CONFIG, Fails, Row, play, put, row};
use crate::harness::operator::Operator;
use crate::harness::scripted_aws::{Http, Reply, Rule, ScriptedAws, s3_error};
use crate::harness::world::World;

fn says(operation: &'static str, status: u16, code: &str, text: &str) -> Vec<Rule> {
    vec![Rule::says(operation, s3_error(status, code, text))]
}

/// As S3 words a denial.
fn denied(operation: &'static str, because: &str) -> Vec<Rule> {
    let text = format!(
        "User: arn:aws:sts::123456789012:assumed-role/quay/quay is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::bucket/key\" {because}"
    );
    says(operation, 403, "AccessDenied", &text)
}

fn policies() -> Vec<Row> {
    let key = "User: arn:aws:sts::123456789012:assumed-role/quay/quay is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:us-east-1:123456789012:key/1 because no identity-based policy allows the kms:GenerateDataKey action";
    let decrypt = "User: arn:aws:sts::123456789012:assumed-role/quay/quay is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:123456789012:key/1 because no identity-based policy allows the kms:Decrypt action";
    let encryption: &[&str] = &["Quay asks for AES256 when it puts", "s3:x-amz-server-side-encryption"];
    vec![
        row(
            "service-control-policy",
            denied("PutObject", "with an explicit deny in a service control policy"),
            "PutDenied",
            &["PutObject with AES256", "a service control policy of the organization denies it", "administrators"],
        ),
        row(
            "permissions-boundary",
            denied("PutObject", "with an explicit deny in a permissions boundary"),
            "PutDenied",
            &["a permissions boundary denies it", "Ask whoever sets the boundary"],
        ),
        row(
            "vpc-endpoint-policy",
            denied("PutObject", "with an explicit deny in a VPC endpoint policy"),
            "PutDenied",
            &["the policy of a VPC endpoint denies it", "Ask the administrators of the network"],
        ),
        row(
            "all-by-service-control",
            denied("S3", "with an explicit deny in a service control policy"),
            "ListDenied",
            &["a service control policy of the organization denies it", "administrators"],
        ),
        row(
            "put-not-allowed",
            denied("PutObject", "because no identity-based policy allows the s3:PutObject action"),
            "PutDenied",
            &["The role's permissions lack s3:PutObject", "AWS answered AccessDenied"],
        ),
        row(
            "missing-key-forbidden",
            vec![Rule::says("HeadObject", Http::new(403, "")).only(|asked| asked.key.ends_with("/missing"))],
            "MissingKeyForbidden",
            &["HTTP 403", "lack s3:ListBucket", "no condition on s3:prefix"],
        ),
        row(
            "head-present-denied",
            [
                denied("GetObject", "with an explicit deny in a VPC endpoint policy"),
                vec![Rule::says("HeadObject", Http::new(403, "")).only(|asked| !asked.key.ends_with("/missing"))],
            ]
            .concat(),
            "GetDenied",
            &["the policy of a VPC endpoint denies it"],
        ),
        row(
            "header-refused",
            vec![Rule::says("PutObject", s3_error(403, "AccessDenied", "Access Denied")).only(|asked| asked.encrypted)],
            "EncryptionDenied",
            encryption,
        ),
        row(
            "header-demanded",
            vec![
                Rule::says("CopyObject", s3_error(403, "AccessDenied", "Access Denied")).only(|asked| !asked.encrypted),
            ],
            "EncryptionDenied",
            encryption,
        ),
        row(
            "key-disabled",
            says("CopyObject", 400, "KMS.DisabledException", "arn:aws:kms:us-east-1:123456789012:key/1 is disabled."),
            "EncryptionDenied",
            &["AWS answered KMS.DisabledException", "kms:GenerateDataKey", "Enable"],
        ),
        row(
            "key-not-granted",
            says("CopyObject", 403, "AccessDenied", key),
            "EncryptionDenied",
            &["kms:GenerateDataKey", "kms:Decrypt"],
        ),
        row(
            "copy-cannot-be-read",
            vec![
                Rule::says("GetObject", s3_error(403, "AccessDenied", decrypt))
                    .only(|asked| asked.key.ends_with("/copy")),
            ],
            "EncryptionDenied",
            &["CopyObject", "kms:Decrypt"],
        ),
        row(
            "no-such-bucket",
            says("S3", 404, "NoSuchBucket", "The specified bucket does not exist"),
            "BucketMissing",
            &["There is no bucket test-", "Create it, or correct bucket"],
        ),
    ]
}

fn troubles(elsewhere: &str) -> Vec<Row> {
    let replied = |operation, reply| vec![Rule::on(operation, reply)];
    let no_connection: &[&str] = &["there was no connection", "egress proxy"];
    let in_time: &[&str] = &["there was no answer in time"];
    vec![
        row(
            "requests-too-skewed",
            says(
                "S3",
                403,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
            ),
            "ClockSkew",
            &["The clock of the operator's node"],
        )
        .never_says(&["s3:ListBucket"]),
        row(
            "put-too-skewed",
            says("PutObject", 403, "RequestTimeTooSkewed", "Too large."),
            "ClockSkew",
            &["five minutes"],
        ),
        row(
            "slow-down",
            says("S3", 503, "SlowDown", "Please reduce your request rate."),
            "Throttled",
            &["SlowDown", "fewer requests"],
        ),
        row(
            "put-slow-down",
            says("PutObject", 503, "SlowDown", "Please reduce your request rate."),
            "Throttled",
            &["PutObject"],
        ),
        row(
            "copy-200-slow-down",
            says("CopyObject", 200, "SlowDown", "Reduce your rate."),
            "Throttled",
            &["CopyObject", "SlowDown"],
        ),
        row(
            "complete-200-error",
            says("CompleteMultipartUpload", 200, "InternalError", "We encountered an internal error."),
            "AwsUnreachable",
            &["multipart upload", "InternalError"],
        ),
        row(
            "all-500",
            vec![Rule::says("S3", Http::new(500, ""))],
            "AwsUnreachable",
            &["HTTP 500", "AWS is out of order"],
        ),
        row(
            "page-of-a-proxy",
            vec![Rule::says("PutObject", Http::new(504, "<html>Gateway Timeout</html>"))],
            "AwsUnreachable",
            &["HTTP 504"],
        ),
        row(
            "redirect",
            vec![Rule::says("S3", Http::new(307, "").with("location", elsewhere))],
            "AwsUnreachable",
            &["HTTP 307"],
        ),
        row(
            "list-cut-short",
            replied("ListObjectsV2", Reply::CutShort("<ListBucket")),
            "AwsUnreachable",
            &["ListObjectsV2", "HTTP 200"],
        ),
        row(
            "create-cut-short",
            replied("CreateMultipartUpload", Reply::CutShort("<UploadId>")),
            "AwsUnreachable",
            &["multipart upload"],
        ),
        row(
            "get-broken-off",
            replied("GetObject", Reply::BrokenOff),
            "AwsUnreachable",
            &["GetObject", "there was no connection"],
        ),
        row(
            "get-cut-short",
            replied("GetObject", Reply::CutShort("registry")),
            "AwsUnreachable",
            &["GetObject", "HTTP 200"],
        ),
        row(
            "get-other",
            vec![Rule::says("GetObject", Http::new(200, vec![b'x'; 1 << 20]))],
            "AwsUnreachable",
            &["GetObject", "HTTP 200"],
        ),
        row("get-stuck", replied("GetObject", Reply::Stuck), "AwsUnreachable", in_time),
        row("put-never", replied("PutObject", Reply::Never), "AwsUnreachable", in_time),
        row("head-reset", replied("HeadBucket", Reply::Reset), "AwsUnreachable", no_connection),
        row("all-closed", replied("S3", Reply::Closed), "AwsUnreachable", no_connection),
    ]
}

#[tokio::test]
async fn each_policy_that_is_in_the_way_of_storage_is_said_with_who_must_act_and_heals_by_itself() {
    let world = World::granted().await;
    let aws = ScriptedAws::start(&world);
    play(&world, &aws, &policies(), Fails::Storage).await;
}

#[tokio::test]
async fn each_trouble_on_the_way_to_storage_is_said_so_never_followed_elsewhere_and_heals_by_itself() {
    let world = World::granted().await;
    let aws = ScriptedAws::start(&world);
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", elsewhere.local_addr().unwrap());
    play(&world, &aws, &troubles(&url), Fails::Storage).await;
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.accept().is_err(), "the redirect was followed");
}

#[tokio::test]
async fn answers_that_take_their_time_are_waited_for() {
    let world = World::granted().await;
    let aws = ScriptedAws::start(&world);
    let account = aws.account(&world, "slow", "us-east-1").await;
    let slow = Reply::Slow(Duration::from_millis(300));
    aws.script(&account, &[Rule::on("S3", slow.clone()), Rule::on("AssumeRole", slow)]);
    world.put_bundle("slow", CONFIG).await;
    let operator = Operator::start_with(&world, &aws.url, &[]).await;
    put(&world, "slow", &account, "us-east-1").await;
    world.until_ready("slow").await;
    assert_eq!(aws.count(&account, "AssumeRole"), 1);
    assert_eq!(aws.count(&account, "ListObjectsV2"), 1, "the proof was made once");
    world.assert_nothing_secret_was_told(&operator.log()).await;
}
