//! What an answer means at a step: the closed set of reasons.

use super::{Answer, Refused, Step};
use crate::reason::Reason;

/// What is known beside the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The role's credentials are of the global STS host, and the bucket's region takes none of those.
    pub global_token: bool,
    /// The same works when the objects are encrypted in another way.
    pub encryption: bool,
}

/// The reason of an answer at a step.
pub(super) fn of(step: Step, answer: &Answer, circumstances: Circumstances) -> Reason {
    match answer {
        Answer::Refused(refused) => of_code(step, refused, circumstances),
        Answer::Status(429, _) => Reason::Throttled,
        Answer::Status(300..=400, Some(_)) => Reason::BucketElsewhere,
        // An answer to HEAD has no body, and so no code.
        Answer::Status(403, _) if step.is_storage() => denied(step),
        Answer::Status(404, _) if matches!(step, Step::HeadBucket | Step::PodStart) => Reason::BucketMissing,
        Answer::Status(400, _) if step.is_storage() && circumstances.global_token => Reason::GlobalTokenRefused,
        // What gives no code of AWS is not AWS: something stands in between.
        Answer::Status(..) | Answer::NoConnection | Answer::TimedOut => Reason::AwsUnreachable,
        Answer::AddressNotAllowed => Reason::AddressNotAllowed,
    }
}

fn of_code(step: Step, refused: &Refused, circumstances: Circumstances) -> Reason {
    if refused.about_time {
        return Reason::ClockSkew;
    }
    match refused.code.as_str() {
        "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "Forbidden" if step.is_storage() => {
            if refused.about_kms || circumstances.encryption { Reason::EncryptionDenied } else { denied(step) }
        }
        "AccessDenied" | "AccessDeniedException" | "NoSuchEntity" | "ValidationError" => Reason::RoleNotAssumable,
        "InvalidClientTokenId" | "InvalidAccessKeyId" | "UnrecognizedClientException" if !step.is_storage() => {
            Reason::UnknownAccessKey
        }
        "SignatureDoesNotMatch" | "IncompleteSignature" if !step.is_storage() => Reason::WrongSecretKey,
        "RequestExpired" | "RequestTimeTooSkewed" => Reason::ClockSkew,
        "RegionDisabledException" => Reason::RegionDisabled,
        "ExpiredTokenException"
        | "InvalidIdentityToken"
        | "InvalidIdentityTokenException"
        | "IDPRejectedClaim"
        | "IDPCommunicationError" => Reason::TokenRefused,
        "ExpiredToken" => {
            if step.is_storage() {
                Reason::ClockSkew
            } else {
                Reason::TokenRefused
            }
        }
        "InvalidToken" if circumstances.global_token => Reason::GlobalTokenRefused,
        "NoSuchBucket" => Reason::BucketMissing,
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => Reason::BucketElsewhere,
        code if code.starts_with("KMS.") => Reason::EncryptionDenied,
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown" => {
            Reason::Throttled
        }
        "ServiceUnavailable" | "InternalFailure" | "InternalError" | "RequestTimeout" => Reason::AwsUnreachable,
        // Others that speak the protocol have words of their own for being out of order.
        _ if refused.status >= 500 => Reason::AwsUnreachable,
        _ if refused.status == 429 => Reason::Throttled,
        _ => Reason::UnexpectedAnswer,
    }
}

/// What it means that a step is denied.
fn denied(step: Step) -> Reason {
    match step {
        Step::Principal | Step::AssumeRole => Reason::RoleNotAssumable,
        Step::HeadBucket | Step::ListObjects => Reason::ListDenied,
        Step::PodStart => Reason::LocationDenied,
        Step::PutObject => Reason::PutDenied,
        Step::HeadPresent | Step::GetObject => Reason::GetDenied,
        Step::HeadMissing => Reason::MissingKeyForbidden,
        Step::ListUploads | Step::Multipart | Step::AbortUpload => Reason::MultipartDenied,
        Step::CopyObject => Reason::CopyDenied,
        Step::DeleteObject => Reason::DeleteDenied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> Answer {
        Answer::Refused(Refused::read(code, "", None))
    }

    #[test]
    fn each_answer_has_its_reason_at_each_step() {
        use Step::{
            AbortUpload, AssumeRole, CopyObject, DeleteObject, GetObject, HeadBucket, HeadMissing, ListObjects,
            ListUploads, Multipart, PodStart, PutObject,
        };
        let elsewhere = Answer::Status(301, Some("eu-west-1".into()));
        for (step, answer, reason) in [
            (AssumeRole, refused("AccessDenied"), Reason::RoleNotAssumable),
            (AssumeRole, refused("NoSuchEntity"), Reason::RoleNotAssumable),
            (AssumeRole, refused("InvalidClientTokenId"), Reason::UnknownAccessKey),
            (AssumeRole, refused("SignatureDoesNotMatch"), Reason::WrongSecretKey),
            (AssumeRole, refused("RegionDisabledException"), Reason::RegionDisabled),
            (AssumeRole, refused("InvalidIdentityToken"), Reason::TokenRefused),
            (AssumeRole, refused("ExpiredTokenException"), Reason::TokenRefused),
            (AssumeRole, refused("Throttling"), Reason::Throttled),
            (AssumeRole, refused("ServiceUnavailable"), Reason::AwsUnreachable),
            (AssumeRole, refused("SomethingNew"), Reason::UnexpectedAnswer),
            (AssumeRole, Answer::Refused(Refused { about_time: true, ..Refused::default() }), Reason::ClockSkew),
            (AssumeRole, Answer::Status(503, None), Reason::AwsUnreachable),
            (AssumeRole, Answer::Status(302, None), Reason::AwsUnreachable),
            (AssumeRole, Answer::Status(200, None), Reason::AwsUnreachable),
            (AssumeRole, Answer::Status(429, None), Reason::Throttled),
            (AssumeRole, Answer::TimedOut, Reason::AwsUnreachable),
            (AssumeRole, Answer::NoConnection, Reason::AwsUnreachable),
            (HeadBucket, Answer::Status(404, None), Reason::BucketMissing),
            (HeadBucket, Answer::Status(403, None), Reason::ListDenied),
            (HeadBucket, elsewhere, Reason::BucketElsewhere),
            (PodStart, refused("AccessDenied"), Reason::LocationDenied),
            (PodStart, refused("NoSuchBucket"), Reason::BucketMissing),
            (ListUploads, refused("AccessDenied"), Reason::MultipartDenied),
            (PutObject, refused("AccessDenied"), Reason::PutDenied),
            (PutObject, refused("PermanentRedirect"), Reason::BucketElsewhere),
            (PutObject, refused("AuthorizationHeaderMalformed"), Reason::BucketElsewhere),
            (PutObject, refused("KMS.DisabledException"), Reason::EncryptionDenied),
            (PutObject, refused("RequestTimeTooSkewed"), Reason::ClockSkew),
            (PutObject, refused("SlowDown"), Reason::Throttled),
            (HeadMissing, Answer::Status(403, None), Reason::MissingKeyForbidden),
            (GetObject, refused("AccessDenied"), Reason::GetDenied),
            (Multipart, refused("AccessDenied"), Reason::MultipartDenied),
            (AbortUpload, refused("AccessDenied"), Reason::MultipartDenied),
            (CopyObject, refused("AccessDenied"), Reason::CopyDenied),
            (ListObjects, refused("AccessDenied"), Reason::ListDenied),
            (DeleteObject, refused("AccessDenied"), Reason::DeleteDenied),
        ] {
            assert_eq!(of(step, &answer, Circumstances::default()), reason, "{step:?} {answer:?}");
        }
    }

    #[test]
    fn what_is_known_beside_the_answer_makes_it_exact() {
        let global = Circumstances { global_token: true, ..Circumstances::default() };
        assert_eq!(of(Step::HeadBucket, &Answer::Status(400, None), global), Reason::GlobalTokenRefused);
        assert_eq!(of(Step::PutObject, &refused("InvalidToken"), global), Reason::GlobalTokenRefused);
        let encryption = Circumstances { encryption: true, ..Circumstances::default() };
        assert_eq!(of(Step::CopyObject, &refused("AccessDenied"), encryption), Reason::EncryptionDenied);
        let kms =
            Answer::Refused(Refused::read("AccessDenied", "not authorized to perform: kms:GenerateDataKey", None));
        assert_eq!(of(Step::CopyObject, &kms, Circumstances::default()), Reason::EncryptionDenied);
    }
}
