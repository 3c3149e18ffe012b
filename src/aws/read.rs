//! From the SDK's errors to answers.

use aws_sdk_sts::error::SdkError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::network::AddressRefused;
use crate::verdict::{Answer, Refused};

/// Where S3 says in which region a bucket is.
const BUCKET_REGION: &str = "x-amz-bucket-region";

/// Reads the SDK's error.
pub(super) fn answer<E>(error: &SdkError<E, HttpResponse>) -> Answer {
    match error {
        SdkError::ServiceError(answered) => of_response(answered.raw()),
        SdkError::ResponseError(answered) => of_response(answered.raw()),
        SdkError::TimeoutError(_) => Answer::TimedOut,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Answer::TimedOut,
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) if is_refused_address(error) => Answer::AddressNotAllowed,
            _ => Answer::NoConnection,
        },
        _ => Answer::NoConnection,
    }
}

fn is_refused_address(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<AddressRefused>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn of_response(response: &HttpResponse) -> Answer {
    let body = response.body().bytes().and_then(|body| std::str::from_utf8(body).ok()).unwrap_or_default();
    let region = response.headers().get(BUCKET_REGION).map(str::to_owned);
    let status = response.status().as_u16();
    match refused_in(body, region.clone()) {
        Some(refused) => Answer::Refused(Refused { status, ..refused }),
        None => Answer::Status(status, region),
    }
}

/// AWS wraps `<Error>` in `<ErrorResponse>`; S3 and others that speak its protocol leave it bare or wrap it once more,
/// and the SDK reads no code there.
fn refused_in(body: &str, region: Option<String>) -> Option<Refused> {
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0)
    };
    let code = element("Code")?;
    let region = region.or_else(|| element("Region").map(str::to_owned));
    Some(Refused::read(code, element("Message").unwrap_or_default(), region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_found_however_the_error_is_wrapped() {
        let error = "<Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>Signature expired: 2026 is now earlier than 2025</Message></Error>";
        for body in [
            error.to_owned(),
            format!("<ErrorResponse>{error}<RequestId>x</RequestId></ErrorResponse>"),
            format!("<?xml version=\"1.0\"?>\n<ErrorResponse><Errors>{error}</Errors></ErrorResponse>"),
        ] {
            let refused = refused_in(&body, None).unwrap();
            assert_eq!((refused.code.as_str(), refused.about_time), ("SignatureDoesNotMatch", true), "{body}");
        }
        for body in ["", "<html>busy</html>", "<Code>", "{\"code\": 1}"] {
            assert_eq!(refused_in(body, None), None, "{body}");
        }
    }

    #[test]
    fn the_buckets_region_is_read_from_the_body_too() {
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong; expecting 'eu-west-1'</Message><Region>eu-west-1</Region></Error>";
        assert_eq!(refused_in(body, None).unwrap().region.as_deref(), Some("eu-west-1"));
    }
}
