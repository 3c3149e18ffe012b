//! A failure in words: what was tried, what AWS answered, what to change, with the real names in it.

use super::answer::Policy;
use super::{Answer, Step, reasons};
use crate::place::Endpoint;
use crate::policy;
use crate::reason::{Failure, Reason};
use crate::target::{Principal, Target};

pub use super::reasons::Circumstances;

/// What a step was tried on, and what is known beside its answer.
pub struct Subject<'a> {
    /// Who, which role, where.
    pub target: &'a Target,
    /// Who AWS says that the principal is, if it was asked.
    pub caller: Option<&'a str>,
    /// What is known beside the answer.
    pub circumstances: Circumstances,
}

/// The failure of a step that was answered so.
pub fn judge(step: Step, answer: &Answer, subject: &Subject<'_>) -> Failure {
    let answer = &answer.asked_in(subject.target.region());
    let reason = reasons::of(step, answer, subject.circumstances);
    let message = format!(
        "{}: {}. {}",
        tried(step, subject.target),
        answered(step, answer, subject),
        advice(step, reason, answer, subject)
    );
    Failure::new(reason, message)
}

fn tried(step: Step, target: &Target) -> String {
    let (role, place) = (target.holder(), format!("s3://{}/{}", target.bucket, target.prefix()));
    let on_s3 = |what: &str| format!("{what} with {role} at {}", s3_host(target));
    match (step, &target.principal) {
        (Step::Principal | Step::AssumeRole, Principal::Key(key)) => {
            format!("AssumeRole of {role} with access key …{} at {}", key.last_four(), target.sts.driver.host())
        }
        (Step::Principal | Step::AssumeRole, Principal::Account(account)) => {
            format!("AssumeRoleWithWebIdentity of {role} as {} at {}", account.subject(), target.sts.driver.host())
        }
        (Step::HeadBucket, _) => on_s3(&format!("HeadBucket of {}", target.bucket)),
        (Step::PodStart, _) => format!(
            "What config-tool asks when a pod starts (GetBucketLocation and HeadBucket of {}, at the bucket's own host) with {role}",
            target.bucket
        ),
        (Step::ListUploads, _) => on_s3(&format!("ListMultipartUploads of {}", target.bucket)),
        (Step::PutObject, _) => on_s3(&format!("PutObject with AES256 below {place}")),
        (Step::HeadPresent, _) => on_s3(&format!("HeadObject below {place}")),
        (Step::HeadMissing, _) => on_s3(&format!("HeadObject of a key that is not there below {place}")),
        (Step::GetObject, _) => on_s3(&format!("GetObject below {place}")),
        (Step::Multipart, _) => on_s3(&format!("A multipart upload with AES256 below {place}")),
        (Step::CopyObject, _) => on_s3(&format!("CopyObject without an encryption header below {place}")),
        (Step::AbortUpload, _) => on_s3(&format!("AbortMultipartUpload below {place}")),
        (Step::ListObjects, _) => on_s3(&format!("ListObjectsV2 of {}", target.bucket)),
        (Step::DeleteObject, _) => on_s3(&format!("DeleteObject below {place}")),
    }
}

fn s3_host(target: &Target) -> String {
    match &target.endpoint {
        Endpoint::Url(url) => url.as_str().to_owned(),
        Endpoint::Region(region) => region.s3_host(),
    }
}

fn asks_by_head(step: Step) -> bool {
    matches!(step, Step::HeadBucket | Step::PodStart | Step::HeadPresent | Step::HeadMissing)
}

fn answered(step: Step, answer: &Answer, subject: &Subject<'_>) -> String {
    match answer {
        Answer::Refused(refused) => {
            // A code is a word. What is none did not come from AWS, and stays out of status; of another host's words
            // only those that have a meaning here are told.
            let code = &refused.code;
            let is_word = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
            let elsewhere = matches!(subject.target.endpoint, Endpoint::Url(_));
            let told = if !is_word || (elsewhere && code != "AccessDenied") { "an error" } else { code };
            let who = if elsewhere { "the endpoint" } else { "AWS" };
            format!("{who} answered {told}")
        }
        // What is answered to HEAD has no body to read a code from.
        Answer::Status(status, _) if asks_by_head(step) => format!("the answer was HTTP {status}"),
        Answer::Status(status, _) => format!("the answer was HTTP {status} without an error code of AWS"),
        Answer::NoConnection => "there was no connection".into(),
        Answer::AddressNotAllowed => "the host resolves to an address that is not allowed, so nothing was sent".into(),
        Answer::TimedOut => "there was no answer in time".into(),
    }
}

fn advice(step: Step, reason: Reason, answer: &Answer, subject: &Subject<'_>) -> String {
    if let Some(who) = answer_blames(answer).and_then(|policy| outside(policy, subject)) {
        return who;
    }
    let target = subject.target;
    match reason {
        Reason::RoleNotAssumable => role_not_assumable(answer, subject),
        Reason::UnknownAccessKey => "AWS does not know this access key, or it is inactive (or the region of that STS host is not enabled in the account). Activate it, or create a new access key of the user and put both parts into the Secret. It is tried again by itself.".into(),
        Reason::WrongSecretKey => "The secret access key does not belong to this access key. Put both parts of the same access key into the Secret; AWS shows the secret part only once, when the key is created.".into(),
        Reason::ClockSkew => "The clock of the operator's node and AWS's differ by more than five minutes. Correct the node's time; Quay's pods there fail the same way.".into(),
        Reason::RegionDisabled => format!(
            "The region of {} is disabled in the account, or its STS host is. Activate it in the account's settings of IAM (Security Token Service), or name an active region in AWS_DEFAULT_REGION of Quay's pods.",
            target.sts.driver.host()
        ),
        Reason::TokenRefused => token_refused(target),
        Reason::GlobalTokenRefused => format!(
            "Region {} takes no tokens of the global STS host, and Quay's pods ask that one. Set AWS_DEFAULT_REGION and AWS_REGION to {} and AWS_STS_REGIONAL_ENDPOINTS to regional on Quay's pods (overrides.env of components quay and mirror), and without registryRef the same in spec.consumerEnv; or let the account's global STS host issue tokens for all regions (iam:SetSecurityTokenServicePreferences).",
            target.region(),
            target.region()
        ),
        Reason::BucketMissing => format!("There is no bucket {} in partition {}. Create it, or correct bucket.", target.bucket, target.partition().as_str()),
        Reason::BucketElsewhere => match answer.region() {
            Some(region) => format!("The bucket {} is in {region}. Set region: {region}.", target.bucket),
            None => format!("The bucket {} is in another region than {}. Correct region.", target.bucket, target.region()),
        },
        Reason::EncryptionDenied => encryption(answer, target),
        Reason::AddressNotAllowed => "Ask the operator's administrator for --allow-network with the endpoint's network, if this address is meant.".into(),
        Reason::Throttled => "AWS asks for fewer requests. It is tried again later.".into(),
        Reason::AwsUnreachable if matches!(answer, Answer::NoConnection | Answer::TimedOut) => {
            "Check that the operator's pod may reach this host (NetworkPolicy, egress proxy, DNS). It is tried again by itself.".into()
        }
        Reason::AwsUnreachable => {
            "AWS is out of order, or what answered is not AWS: check what stands in between (egress proxy, load balancer, VPC endpoint). It is tried again by itself.".into()
        }
        _ => match missing_action(step, reason) {
            Some(action) => missing(action, target),
            None => "This answer is not known to the operator. It is tried again by itself.".into(),
        },
    }
}

fn answer_blames(answer: &Answer) -> Option<super::Blame> {
    match answer {
        Answer::Refused(refused) => refused.blame,
        _ => None,
    }
}

/// Who has to act where it is neither the role's owner nor the bucket's.
fn outside(blame: super::Blame, subject: &Subject<'_>) -> Option<String> {
    let how = if blame.explicit { "denies it" } else { "does not allow it" };
    let role = subject.target.holder();
    Some(match blame.policy {
        Policy::ServiceControl => format!(
            "AWS says that a service control policy of the organization {how}: nothing in account {} can change that. Ask the organization's administrators.",
            subject.target.account()
        ),
        Policy::ResourceControl => format!(
            "AWS says that a resource control policy of the organization {how}. Ask the organization's administrators."
        ),
        Policy::PermissionsBoundary => format!(
            "AWS says that a permissions boundary {how}. Ask whoever sets the boundary of the user or of {role}."
        ),
        Policy::VpcEndpoint => format!(
            "AWS says that the policy of a VPC endpoint {how}. Ask the administrators of the network for an endpoint policy that allows it to {role}."
        ),
        Policy::Identity | Policy::Resource | Policy::Session => return None,
    })
}

fn role_not_assumable(answer: &Answer, subject: &Subject<'_>) -> String {
    let target = subject.target;
    let blame = answer_blames(answer);
    if let Some(super::Blame { policy: Policy::Resource, explicit: true }) = blame {
        return format!(
            "AWS says that the trust policy of {} denies it. Remove that statement. It is tried again by itself.",
            target.holder()
        );
    }
    let trusted = match (&target.principal, subject.caller) {
        (Principal::Key(_), Some(caller)) => {
            format!("that the role's trust policy names {caller}, for example {}", policy::trust_statement_of(caller))
        }
        (Principal::Key(_), None) => {
            "that the role's trust policy allows sts:AssumeRole to the user of this access key".into()
        }
        (Principal::Account(account), _) => format!(
            "that the role's trust policy allows sts:AssumeRoleWithWebIdentity to the cluster's identity provider, with :sub {} and :aud {}",
            account.subject(),
            account.audience
        ),
    };
    let mut checks = vec![
        "that roleArn is spelled as the role's page shows it".to_owned(),
        trusted,
        "that no condition of it asks for what Quay cannot send (sts:ExternalId, MFA, session tags, a source identity) or where it does not ask from (aws:SourceVpce, aws:SourceIp)".to_owned(),
    ];
    let accounts_differ = subject.caller.and_then(account_of).is_some_and(|account| account != target.account());
    let identity_policy = blame.is_some_and(|blame| blame.policy == Policy::Identity);
    if accounts_differ || identity_policy {
        let why = if identity_policy { "AWS says so" } else { "the accounts differ" };
        let statement = serde_json::json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": target.holder()});
        checks.push(format!("that the user's own policy allows it ({why}): {statement}"));
    } else if subject.caller.is_none() && matches!(target.principal, Principal::Key(_)) {
        checks.push("and, where user and role are in different accounts, that the user's own policy allows sts:AssumeRole on this role".to_owned());
    }
    format!(
        "AWS answers the same for a role that refuses and for one that does not exist. Check in this order: {}. It is tried again by itself.",
        checks.join("; ")
    )
}

fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

fn token_refused(target: &Target) -> String {
    let (subject, audience) = match &target.principal {
        Principal::Account(account) => (account.subject(), account.audience.as_str()),
        Principal::Key(_) => (String::new(), ""),
    };
    format!(
        "AWS does not accept the token of {subject}. Check that account {} has an identity provider for the cluster's issuer (the `iss` of its tokens), that the provider lists the audience {audience}, and that the issuer's keys can be read from the internet. It is tried again by itself.",
        target.account()
    )
}

fn encryption(answer: &Answer, target: &Target) -> String {
    let key = target.kms_key_arn.as_deref();
    if matches!(answer, Answer::Refused(refused) if refused.about_kms) {
        let needs = match key {
            Some(_) => format!("{} and {}", statement("kms:GenerateDataKey", target), statement("kms:Decrypt", target)),
            None => "kms:GenerateDataKey and kms:Decrypt on it (named in kmsKeyArn, it is named here)".into(),
        };
        return format!(
            "The KMS key by which {} encrypts is in the way. Enable it if it is disabled or to be deleted; the role needs {needs}, in its own policy and in the key's.",
            target.bucket
        );
    }
    let allow = match key {
        Some(_) => format!(" If the bucket encrypts with that key, the role needs {} and {}.", statement("kms:GenerateDataKey", target), statement("kms:Decrypt", target)),
        None => " If the bucket encrypts with a customer managed KMS key by default, name it in kmsKeyArn: the role needs kms:GenerateDataKey and kms:Decrypt on it.".into(),
    };
    format!(
        "Quay asks for AES256 when it puts, and copies without an encryption header: a bucket policy that demands the header, or another kind of encryption, breaks it. Remove the statement that denies s3:PutObject by s3:x-amz-server-side-encryption from the policy of {}.{allow}",
        target.bucket
    )
}

/// The action that a denied step lacks.
fn missing_action(step: Step, reason: Reason) -> Option<&'static str> {
    Some(match (reason, step) {
        (Reason::ListDenied | Reason::MissingKeyForbidden, _) => "s3:ListBucket",
        (Reason::LocationDenied, _) => "s3:GetBucketLocation",
        (Reason::MultipartDenied, Step::ListUploads) => "s3:ListBucketMultipartUploads",
        (Reason::MultipartDenied, Step::AbortUpload) => "s3:AbortMultipartUpload",
        (Reason::MultipartDenied | Reason::PutDenied, _) => "s3:PutObject",
        (Reason::GetDenied | Reason::CopyDenied, _) => "s3:GetObject",
        (Reason::DeleteDenied, _) => "s3:DeleteObject",
        _ => return None,
    })
}

fn missing(action: &str, target: &Target) -> String {
    let lists = if action == "s3:ListBucket" { ", with no condition on s3:prefix" } else { "" };
    format!(
        "The role's permissions lack {action}{lists}. Add {} to a policy of {}. It is tried again by itself.",
        statement(action, target),
        target.holder()
    )
}

fn statement(action: &str, target: &Target) -> String {
    let prefix = target.prefix();
    let storage = policy::Storage {
        partition: target.partition(),
        account: target.account(),
        bucket: target.bucket.as_str(),
        prefix: &prefix,
        region: target.region(),
        kms_key_arn: target.kms_key_arn.as_deref(),
    };
    storage.statement(action)
}

#[cfg(test)]
mod tests;
