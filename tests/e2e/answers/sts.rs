//! What STS answers when a role is assumed.

use super::{CONFIG, Fails, Row, play, put, row};
use crate::harness::operator::Operator;
use crate::harness::scripted_aws::{Http, Reply, Rule, ScriptedAws, sts_error};
use crate::harness::world::{World, is, message};

fn error(status: u16, code: &str, text: &str) -> Vec<Rule> {
    vec![Rule::says("AssumeRole", sts_error(status, code, text))]
}

fn replied(reply: Reply) -> Vec<Rule> {
    vec![Rule::on("AssumeRole", reply)]
}

/// As STS words a denial.
fn denied(because: &str) -> Vec<Rule> {
    let text = format!(
        "User: arn:aws:iam::123456789012:user/quay is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/quay {because}"
    );
    error(403, "AccessDenied", &text)
}

fn aws_own_answers() -> Vec<Row> {
    vec![
        row(
            "signature-expired",
            error(
                403,
                "SignatureDoesNotMatch",
                "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z (20260101T001500Z - 5 min.)",
            ),
            "ClockSkew",
            &["AWS answered SignatureDoesNotMatch", "The clock of the operator's node", "five minutes"],
        ),
        row(
            "signature-of-the-future",
            error(
                403,
                "SignatureDoesNotMatch",
                "Signature not yet current: 20260101T001000Z is still later than 20260101T000500Z (20260101T000000Z + 5 min.)",
            ),
            "ClockSkew",
            &["The clock of the operator's node"],
        ),
        row(
            "request-expired",
            error(400, "RequestExpired", "Request has expired."),
            "ClockSkew",
            &["AWS answered RequestExpired", "Correct the node's time"],
        ),
        row(
            "throttling",
            error(400, "Throttling", "Rate exceeded"),
            "Throttled",
            &["AWS answered Throttling", "asks for fewer requests", "tried again later"],
        ),
        row(
            "region-disabled",
            error(
                403,
                "RegionDisabledException",
                "STS is not activated in this region for account:123456789012. Your account administrator can activate STS in this region using the IAM Console.",
            ),
            "RegionDisabled",
            &["AWS answered RegionDisabledException", "sts.amazonaws.com", "Activate it", "AWS_DEFAULT_REGION"],
        ),
        row(
            "no-identity-policy",
            denied("because no identity-based policy allows the sts:AssumeRole action"),
            "RoleNotAssumable",
            &["the user's own policy allows it (AWS says so)", "\"Action\":\"sts:AssumeRole\"", "user/test-"],
        ),
        row(
            "trust-policy-denies",
            denied("with an explicit deny in a resource-based policy"),
            "RoleNotAssumable",
            &["the trust policy of", "denies it", "Remove that statement"],
        ),
        row(
            "service-control-policy",
            denied("with an explicit deny in a service control policy"),
            "RoleNotAssumable",
            &["a service control policy of the organization denies it", "Ask the organization's administrators"],
        ),
        row(
            "permissions-boundary",
            denied("with an explicit deny in a permissions boundary"),
            "RoleNotAssumable",
            &["a permissions boundary denies it", "Ask whoever sets the boundary"],
        ),
        row(
            "vpc-endpoint-policy",
            denied("with an explicit deny in a VPC endpoint policy"),
            "RoleNotAssumable",
            &["the policy of a VPC endpoint denies it", "Ask the administrators of the network"],
        ),
    ]
}

fn no_answers(elsewhere: &str) -> Vec<Row> {
    let unreachable: &[&str] = &["there was no connection", "NetworkPolicy, egress proxy, DNS", "by itself"];
    let without_code: &[&str] = &["HTTP 200 without an error code of AWS"];
    vec![
        row("service-unavailable", vec![Rule::says("AssumeRole", Http::new(503, ""))], "AwsUnreachable", &["HTTP 503"]),
        row(
            "page-of-a-proxy",
            vec![Rule::says("AssumeRole", Http::new(502, "<html><body>Bad Gateway: no-route-to-host</body></html>"))],
            "AwsUnreachable",
            &["HTTP 502 without an error code of AWS", "egress proxy"],
        )
        .never_says(&["no-route-to-host"]),
        row(
            "redirect",
            vec![Rule::says("AssumeRole", Http::new(302, "").with("location", elsewhere))],
            "AwsUnreachable",
            &["HTTP 302 without an error code of AWS"],
        )
        .never_says(&["127.0.0.1"]),
        row("cut-short", replied(Reply::CutShort("<Assume")), "AwsUnreachable", without_code),
        row("cut-in-secret", replied(Reply::CutShort("<SecretAccessKey>scripted")), "AwsUnreachable", without_code),
        row("cut-in-token", replied(Reply::CutShort("<SessionToken>scripted")), "AwsUnreachable", without_code),
        row("cut-after-token", replied(Reply::CutShort("</SessionToken>")), "AwsUnreachable", without_code),
        row("broken-off", replied(Reply::BrokenOff), "AwsUnreachable", &["AssumeRole of"]),
        row("closed", replied(Reply::Closed), "AwsUnreachable", unreachable),
        row("reset", replied(Reply::Reset), "AwsUnreachable", unreachable),
        row("never", replied(Reply::Never), "AwsUnreachable", &["there was no answer in time"]),
        row("stuck", replied(Reply::Stuck), "AwsUnreachable", &["there was no answer in time"]),
    ]
}

#[tokio::test]
async fn each_answer_of_sts_has_its_reason_says_who_must_act_and_heals_by_itself() {
    let world = World::granted().await;
    let aws = ScriptedAws::start(&world);
    play(&world, &aws, &aws_own_answers(), Fails::Role).await;
}

#[tokio::test]
async fn what_is_no_answer_of_sts_is_said_so_never_followed_elsewhere_and_heals_by_itself() {
    let world = World::granted().await;
    let aws = ScriptedAws::start(&world);
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", elsewhere.local_addr().unwrap());
    play(&world, &aws, &no_answers(&url), Fails::Role).await;
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.accept().is_err(), "the redirect was followed");
}

#[tokio::test]
async fn where_nobody_listens_it_is_said_so_and_heals_when_somebody_does() {
    let world = World::granted().await;
    let (mut aws, socket) = ScriptedAws::unplugged(&world);
    let account = aws.account(&world, "refused", "us-east-1").await;
    let before = world.put_bundle("refused", CONFIG).await;
    let operator = Operator::start_with(&world, &aws.url, &[]).await;
    put(&world, "refused", &account, "us-east-1").await;
    let failed = world.until_reason("refused", "AwsUnreachable").await;
    assert!(is(&failed, "Ready", "False") && is(&failed, "RoleProven", "False"));
    assert!(message(&failed, "Ready").contains("there was no connection"));
    assert_eq!(world.bundle("refused").await.metadata.resource_version, before.metadata.resource_version);

    aws.plug_in(socket);
    world.until_ready("refused").await;
    world.assert_nothing_secret_was_told(&operator.log()).await;
}
