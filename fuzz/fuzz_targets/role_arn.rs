//! Texts of a fixed grammar: no text makes a parser panic, and what is accepted is kept as it was given.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry_sts_fuzz::arn::RoleArn;
use registry_sts_fuzz::note;
use registry_sts_fuzz::place::{Bucket, Endpoint, EndpointUrl, LocationName, Malformed, Place};
use registry_sts_fuzz::place::{Region, S3Host, StoragePath};

fuzz_target!(|text: &str| {
    note(text.as_bytes());
    match text.parse::<RoleArn>() {
        Ok(arn) => {
            assert_eq!(arn.to_string(), text);
            assert_eq!(arn.as_str(), text);
            assert!(text.starts_with(&format!("arn:{}:iam::", arn.partition().as_str())));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    kept(text, text.parse::<LocationName>().map(|name| name.to_string()));
    kept(text, text.parse::<Bucket>().map(|bucket| bucket.to_string()));
    kept(text, text.parse::<Region>().map(|region| region.to_string()));
    kept(text, text.parse::<StoragePath>().map(|path| path.to_string()));
    kept(text, text.parse::<EndpointUrl>().map(|url| url.as_str().to_owned()));

    let mut hosts = vec![Endpoint::Region(region("us-east-1")).host()];
    if let Ok(region) = text.parse::<Region>() {
        hosts.push(Endpoint::Region(region).host());
    }
    if let Ok(url) = text.parse::<EndpointUrl>() {
        let host = S3Host::of_url(&url);
        // The origin is the same address spelled out; only its port can make it too long.
        match url.origin().parse::<EndpointUrl>() {
            Ok(origin) => {
                assert_eq!(origin.origin(), url.origin());
                assert_eq!(S3Host::of_url(&origin), host);
            }
            Err(error) => assert!(url.origin().len() > 512, "{error}"),
        }
        hosts.push(host);
    }
    for host in hosts {
        assert!(!host.to_string().is_empty());
        let bucket = text.parse::<Bucket>().map_or("quay-bucket".to_owned(), |bucket| bucket.to_string());
        let path = text.parse::<StoragePath>().map_or("/datastorage".to_owned(), |path| path.to_string());
        names_itself(&Place::new(host, &bucket, &path));
    }
});

/// What a parser accepted is the text that it was given; what it refused, it can say so.
fn kept(text: &str, parsed: Result<String, Malformed>) {
    match parsed {
        Ok(kept) => assert_eq!(kept, text),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The consent that is printed for a place is accepted for it.
fn names_itself(place: &Place) {
    let consent = place.consent();
    assert!(place.is_named_by(&consent), "{place} is not named by {consent:?}");
}

fn region(text: &str) -> Region {
    text.parse().expect("a region")
}
