use super::super::Refused;
use super::*;
use crate::consumer::Environment;
use crate::plan::key::AccessKey;

fn key() -> Principal {
    let data = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "hush")];
    let data = data.iter().map(|(k, v)| ((*k).to_owned(), secrecy::SecretString::from(*v))).collect();
    Principal::Key(AccessKey::from_secret("quay-user", &data).unwrap())
}

fn target(principal: Principal, endpoint: Endpoint) -> Target {
    Target {
        principal,
        role: "arn:aws:iam::123492922789:role/example-role".parse().ok(),
        sts: Environment::default().sts(),
        endpoint,
        endpoint_gets_sts: None,
        signing_region: "us-east-1".into(),
        bucket: "my-quay-bucket".parse().unwrap(),
        storage_path: "/datastorage".parse().unwrap(),
        kms_key_arn: None,
        certificates: None,
    }
}

fn at_aws() -> Target {
    target(key(), Endpoint::Region("eu-west-1".parse().unwrap()))
}

fn told(step: Step, code: &str, text: &str, caller: Option<&str>) -> String {
    let (target, answer) = (at_aws(), Answer::Refused(Refused::read(code, text, None)));
    judge(step, &answer, &Subject { target: &target, caller, circumstances: Circumstances::default() }).message
}

fn in_order(message: &str, parts: &[&str]) {
    let mut rest = message;
    for part in parts {
        let found = rest.find(part).unwrap_or_else(|| panic!("{part:?} is not (or not in order) in: {message}"));
        rest = &rest[found..];
    }
}

#[test]
fn a_role_that_cannot_be_assumed_is_checked_from_its_spelling_to_the_users_policy() {
    let same_account = told(Step::AssumeRole, "AccessDenied", "", Some("arn:aws:iam::123492922789:user/quay-user"));
    in_order(
        &same_account,
        &[
            "AssumeRole of arn:aws:iam::123492922789:role/example-role with access key …MPLE at sts.amazonaws.com: AWS answered AccessDenied.",
            "spelled",
            "names arn:aws:iam::123492922789:user/quay-user",
            r#"{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123492922789:user/quay-user"}}"#,
            "sts:ExternalId",
            "aws:SourceVpce",
        ],
    );
    assert!(!same_account.contains("own policy"), "{same_account}");
    let other_account = told(Step::AssumeRole, "AccessDenied", "", Some("arn:aws:iam::999999999999:user/quay-user"));
    in_order(&other_account, &["spelled", "ExternalId", "own policy allows it (the accounts differ)"]);
    let says_so = told(
        Step::AssumeRole,
        "AccessDenied",
        "because no identity-based policy allows the sts:AssumeRole action",
        Some("arn:aws:iam::123492922789:user/quay-user"),
    );
    in_order(&says_so, &["spelled", "own policy allows it (AWS says so)"]);
}

#[test]
fn where_aws_names_the_policy_the_advice_says_who_must_act() {
    for (phrase, says) in [
        ("with an explicit deny in a service control policy", "Ask the organization's administrators"),
        ("with an explicit deny in a permissions boundary", "permissions boundary denies it"),
        ("because no VPC endpoint policy allows the s3:PutObject action", "administrators of the network"),
    ] {
        for step in [Step::AssumeRole, Step::PutObject] {
            let message = told(step, "AccessDenied", phrase, None);
            assert!(message.contains(says) && !message.contains("Add {"), "{message}");
        }
    }
    let trust = told(Step::AssumeRole, "AccessDenied", "with an explicit deny in a role trust policy", None);
    assert!(trust.contains("the trust policy of arn:aws:iam::123492922789:role/example-role denies it"), "{trust}");
}

#[test]
fn a_denied_step_names_the_statement_to_add() {
    for (step, statement) in [
        (
            Step::PutObject,
            r#"{"Action":"s3:PutObject","Effect":"Allow","Resource":"arn:aws:s3:::my-quay-bucket/datastorage/*"}"#,
        ),
        (Step::HeadMissing, r#"{"Action":"s3:ListBucket","Effect":"Allow","Resource":"arn:aws:s3:::my-quay-bucket"}"#),
        (
            Step::PodStart,
            r#"{"Action":"s3:GetBucketLocation","Effect":"Allow","Resource":"arn:aws:s3:::my-quay-bucket"}"#,
        ),
        (Step::AbortUpload, r#""s3:AbortMultipartUpload""#),
        (Step::ListUploads, r#""s3:ListBucketMultipartUploads""#),
        (Step::DeleteObject, r#""s3:DeleteObject""#),
    ] {
        let message = told(step, "AccessDenied", "", None);
        assert!(message.contains(statement), "{step:?}: {message}");
        assert!(message.contains("to a policy of arn:aws:iam::123492922789:role/example-role"), "{message}");
    }
}

#[test]
fn a_bucket_in_another_region_is_told_with_the_region_to_set() {
    let target = at_aws();
    let subject = Subject { target: &target, caller: None, circumstances: Circumstances::default() };
    let failure = judge(Step::HeadBucket, &Answer::Status(301, Some("us-west-2".into())), &subject);
    assert!(failure.message.contains("is in us-west-2. Set region: us-west-2."), "{}", failure.message);
    let at_home = judge(Step::HeadBucket, &Answer::Status(403, Some("eu-west-1".into())), &subject);
    assert_eq!(at_home.reason, Reason::ListDenied, "{}", at_home.message);
    let failure = judge(Step::HeadBucket, &Answer::Status(301, Some("<script>".into())), &subject);
    assert!(!failure.message.contains("script"), "{}", failure.message);
}

#[test]
fn what_is_no_error_code_of_aws_stays_out_of_the_message() {
    assert!(!told(Step::AssumeRole, "<b>AKIA SECRET</b>", "", None).contains("SECRET"));
    let target = target(key(), Endpoint::Url("https://minio.example.com".parse().unwrap()));
    let answer = Answer::Refused(Refused::read("SECRETOFTHEHOST", "", None));
    let subject = Subject { target: &target, caller: None, circumstances: Circumstances::default() };
    assert!(!judge(Step::PutObject, &answer, &subject).message.contains("SECRETOFTHEHOST"));
}
