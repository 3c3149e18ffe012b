//! What AWS answered, as far as it matters, and what to do about it. No request id, time or raw text gets through: the
//! same failure gives the same message.

use aws_sdk_sts::error::SdkError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::reason::{Failure, Reason};

/// An answer other than success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// AWS's own error code, and whether its text speaks of an expired or future signature.
    Refused { code: String, about_time: bool },
    /// An HTTP status without an error code that could be read.
    Status(u16),
    /// No connection, or it broke.
    NoConnection,
    /// No answer in time.
    TimedOut,
}

/// Reads the SDK's error.
pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Answer {
    match error {
        SdkError::ServiceError(answered) => of_response(answered.raw()),
        SdkError::ResponseError(answered) => of_response(answered.raw()),
        SdkError::TimeoutError(_) => Answer::TimedOut,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Answer::TimedOut,
        _ => Answer::NoConnection,
    }
}

fn of_response(response: &HttpResponse) -> Answer {
    let body = response.body().bytes().and_then(|body| std::str::from_utf8(body).ok()).unwrap_or_default();
    answer_in(body).unwrap_or(Answer::Status(response.status().as_u16()))
}

/// AWS wraps `<Error>` in `<ErrorResponse>`; others that speak its protocol leave it bare or wrap it once more, and the
/// SDK reads no code there.
fn answer_in(body: &str) -> Option<Answer> {
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0)
    };
    let about_time =
        |message: &str| message.contains("Signature expired") || message.contains("Signature not yet current");
    let code = element("Code")?;
    Some(Answer::Refused { code: code.into(), about_time: element("Message").is_some_and(about_time) })
}

impl Answer {
    fn reason(&self) -> Reason {
        match self {
            Self::Refused { about_time: true, .. } => Reason::ClockSkew,
            Self::Refused { code, .. } => match code.as_str() {
                "AccessDenied" | "AccessDeniedException" | "NoSuchEntity" => Reason::RoleNotAssumable,
                "InvalidClientTokenId" | "InvalidAccessKeyId" | "UnrecognizedClientException" => {
                    Reason::UnknownAccessKey
                }
                "SignatureDoesNotMatch" | "IncompleteSignature" => Reason::WrongSecretKey,
                "RequestExpired" | "RequestTimeTooSkewed" => Reason::ClockSkew,
                "Throttling"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "TooManyRequestsException"
                | "SlowDown" => Reason::Throttled,
                "ServiceUnavailable" | "InternalFailure" | "InternalError" => Reason::AwsUnreachable,
                _ => Reason::UnexpectedAnswer,
            },
            Self::Status(429) => Reason::Throttled,
            // What gives no code of AWS is not AWS: something stands in between.
            Self::Status(_) | Self::NoConnection | Self::TimedOut => Reason::AwsUnreachable,
        }
    }

    /// The failure in words: what was tried, what was answered, what to change.
    pub(super) fn explained(&self, tried: &str) -> Failure {
        let answered = match self {
            Self::Refused { code, .. } => {
                // A code is a word. What is none did not come from AWS, and stays out of status.
                let word = code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
                format!("AWS answered {}", if word { code } else { "with an unreadable error code" })
            }
            Self::Status(status) => format!("the answer was HTTP {status} without an error code of AWS"),
            Self::NoConnection => "there was no connection".into(),
            Self::TimedOut => "there was no answer in time".into(),
        };
        let reason = self.reason();
        Failure::new(reason, format!("{tried}: {answered}. {}", advice(reason)))
    }
}

fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::RoleNotAssumable => {
            "AWS answers the same for a role that refuses and for one that does not exist. Check in this order: that roleArn is spelled as the role's page shows it; that the role's trust policy allows sts:AssumeRole to the user of this access key; that no condition of it asks for what Quay cannot send (sts:ExternalId, MFA, session tags, a source identity); and, where user and role are in different accounts, that the user's own policy allows sts:AssumeRole on this role. It is tried again by itself."
        }
        Reason::UnknownAccessKey => {
            "AWS does not know this access key, or it is inactive. Activate it, or create a new access key of the user and put both parts into the Secret. It is tried again by itself."
        }
        Reason::WrongSecretKey => {
            "The secret access key does not belong to this access key. Put both parts of the same access key into the Secret; AWS shows the secret part only once, when the key is created."
        }
        Reason::ClockSkew => {
            "The clock of the operator's node and AWS's differ by more than five minutes. Correct the node's time; Quay's pods there fail the same way."
        }
        Reason::Throttled => "AWS asks for fewer requests. It is tried again later.",
        Reason::AwsUnreachable => {
            "Check that the operator's pod may reach this host (NetworkPolicy, egress proxy, DNS). It is tried again by itself."
        }
        _ => "This answer is not known to the operator. It is tried again by itself.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> Answer {
        Answer::Refused { code: code.into(), about_time: false }
    }

    #[test]
    fn each_answer_of_aws_has_its_reason() {
        for (answer, reason) in [
            (refused("AccessDenied"), Reason::RoleNotAssumable),
            (refused("InvalidClientTokenId"), Reason::UnknownAccessKey),
            (refused("SignatureDoesNotMatch"), Reason::WrongSecretKey),
            (Answer::Refused { code: "SignatureDoesNotMatch".into(), about_time: true }, Reason::ClockSkew),
            (refused("Throttling"), Reason::Throttled),
            (refused("ServiceUnavailable"), Reason::AwsUnreachable),
            (refused("SomethingNew"), Reason::UnexpectedAnswer),
            (Answer::Status(503), Reason::AwsUnreachable),
            (Answer::Status(429), Reason::Throttled),
            (Answer::Status(407), Reason::AwsUnreachable),
            (Answer::TimedOut, Reason::AwsUnreachable),
            (Answer::NoConnection, Reason::AwsUnreachable),
        ] {
            assert_eq!(answer.reason(), reason, "{answer:?}");
        }
    }

    #[test]
    fn the_code_is_found_however_the_error_is_wrapped() {
        let error = "<Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>Signature expired: 2026 is now earlier than 2025</Message></Error>";
        let expected = Some(Answer::Refused { code: "SignatureDoesNotMatch".into(), about_time: true });
        for body in [
            error.to_owned(),
            format!("<ErrorResponse>{error}<RequestId>x</RequestId></ErrorResponse>"),
            format!("<?xml version=\"1.0\"?>\n<ErrorResponse><Errors>{error}</Errors></ErrorResponse>"),
        ] {
            assert_eq!(answer_in(&body), expected, "{body}");
        }
        for body in ["", "<html>busy</html>", "<Code>", "{\"code\": 1}"] {
            assert_eq!(answer_in(body), None, "{body}");
        }
    }

    #[test]
    fn a_failure_says_what_was_tried_what_was_answered_and_what_to_change() {
        let failure = refused("AccessDenied").explained("AssumeRole of r with access key …ABCD at sts.amazonaws.com");
        assert!(
            failure.message.starts_with(
                "AssumeRole of r with access key …ABCD at sts.amazonaws.com: AWS answered AccessDenied. AWS answers the same for a role that refuses and for one that does not exist. Check in this order: that roleArn"
            ),
            "{}",
            failure.message
        );
    }

    #[test]
    fn an_error_code_that_is_no_word_stays_out_of_the_message() {
        let failure = refused("<b>AKIA SECRET</b>").explained("AssumeRole");
        assert!(!failure.message.contains("SECRET"), "{}", failure.message);
    }
}
