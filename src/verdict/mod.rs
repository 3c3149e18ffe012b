//! What a proof found, step by step: what Quay will do with a role, in the order in which it is judged.

pub mod advice;
mod answer;
mod reasons;

pub use answer::{Answer, Blame, Refused};

use crate::reason::{Failure, Reason};

/// One thing that Quay will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// There is somebody to assume the role: a key, or a token.
    Principal,
    /// `AssumeRole` or `AssumeRoleWithWebIdentity`, as Quay calls it.
    AssumeRole,
    /// What Quay's driver asks first: `HeadBucket`.
    HeadBucket,
    /// What config-tool asks when a pod starts; a failure stops the pod.
    PodStart,
    /// `ListMultipartUploads`, for cleaning up.
    ListUploads,
    /// `PutObject` with `AES256`.
    PutObject,
    /// `HeadObject` of a key that is there.
    HeadPresent,
    /// `HeadObject` of a key that is not there: 404 is what Quay expects.
    HeadMissing,
    /// `GetObject`.
    GetObject,
    /// `CreateMultipartUpload` with `AES256`, `UploadPart`, `CompleteMultipartUpload`.
    Multipart,
    /// `CopyObject` without a header for encryption.
    CopyObject,
    /// `AbortMultipartUpload`.
    AbortUpload,
    /// `ListObjectsV2`.
    ListObjects,
    /// `DeleteObject`.
    DeleteObject,
}

impl Step {
    /// All steps, in the order in which they are judged.
    pub const ALL: [Self; 14] = [
        Self::Principal,
        Self::AssumeRole,
        Self::HeadBucket,
        Self::PodStart,
        Self::ListUploads,
        Self::PutObject,
        Self::HeadPresent,
        Self::HeadMissing,
        Self::GetObject,
        Self::Multipart,
        Self::CopyObject,
        Self::AbortUpload,
        Self::ListObjects,
        Self::DeleteObject,
    ];

    /// The step for people.
    pub fn told(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::AssumeRole => "assume role",
            Self::HeadBucket => "find bucket",
            Self::PodStart => "pod start",
            Self::ListUploads => "list uploads",
            Self::PutObject => "put",
            Self::HeadPresent => "head",
            Self::HeadMissing => "head missing",
            Self::GetObject => "get",
            Self::Multipart => "multipart",
            Self::CopyObject => "copy",
            Self::AbortUpload => "abort upload",
            Self::ListObjects => "list",
            Self::DeleteObject => "delete",
        }
    }

    /// Whether it is about S3, and not about the role.
    pub fn is_storage(self) -> bool {
        self > Self::AssumeRole
    }
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Passed,
    /// It does not, and this is what to change.
    Failed(Failure),
    /// Whether it works cannot be known here, for this reason.
    Unknown(String),
    /// It was not tried, for this reason.
    NotTried(&'static str),
}

/// What a proof found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The steps that were looked at, in the order in which they are judged.
    pub steps: Vec<(Step, Verdict)>,
    /// Who assumed the role or tried to, as AWS names it, where AWS said so.
    pub principal: Option<String>,
    /// What is worth knowing though nothing failed.
    pub notes: Vec<String>,
}

impl Findings {
    /// Findings that end with the first step that they have.
    pub fn ending_with(step: Step, verdict: Verdict) -> Self {
        Self { steps: vec![(step, verdict)], ..Self::default() }
    }

    /// The failure to name: the first one that is an answer; where there is only silence, the first silence.
    pub fn failure(&self) -> Option<(Step, &Failure)> {
        let failed = || {
            self.steps.iter().filter_map(|(step, verdict)| match verdict {
                Verdict::Failed(failure) => Some((*step, failure)),
                Verdict::Passed | Verdict::Unknown(_) | Verdict::NotTried(_) => None,
            })
        };
        failed().find(|(_, failure)| !is_silence(failure)).or_else(|| failed().next())
    }
}

/// Whether a failure tells nothing of the role or the storage: no answer, or one that asks for patience.
pub fn is_silence(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::AwsUnreachable | Reason::Throttled | Reason::AccountUnanswered)
}
