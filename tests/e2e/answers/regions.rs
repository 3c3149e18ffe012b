//! Buckets of another region than the spec names, and regions that take no tokens of the global STS host.

use super::{Fails, Row, play, row};
use crate::harness::scripted_aws::{Asked, Rule, ScriptedAws, s3_error, s3_error_in, sts_error};
use crate::harness::world::World;

fn regions() -> Vec<Row> {
    let elsewhere = |asked: &_| is_signed_for(asked, "us-east-1");
    let malformed = || {
        s3_error_in(
            400,
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'",
            "<Region>eu-west-1</Region>",
        )
    };
    let moved = || {
        s3_error(
            301,
            "PermanentRedirect",
            "The bucket you are attempting to access must be addressed using the specified endpoint.",
        )
    };
    let invalid = || s3_error(400, "InvalidToken", "The provided token is malformed or otherwise invalid.");
    let global: fn(&_) -> bool = |asked| is_signed_for(asked, "eu-south-1") && is_of_the_global_host(asked);
    let global_says: &[&str] = &["takes no tokens of the global STS host", "AWS_DEFAULT_REGION", "eu-south-1"];
    let disabled = Rule::says("AssumeRole", sts_error(403, "RegionDisabledException", "STS is not activated"));
    vec![
        row(
            "permanent-redirect",
            vec![Rule::says("S3", moved().with("x-amz-bucket-region", "eu-west-1")).only(elsewhere)],
            "BucketElsewhere",
            &["is in eu-west-1. Set region: eu-west-1"],
        ),
        row(
            "header-malformed",
            vec![Rule::says("S3", malformed()).only(elsewhere)],
            "BucketElsewhere",
            &["AWS answered AuthorizationHeaderMalformed", "is in eu-west-1. Set region: eu-west-1"],
        ),
        row(
            "header-malformed-with-region",
            vec![Rule::says("S3", malformed().with("x-amz-bucket-region", "eu-west-1")).only(elsewhere)],
            "BucketElsewhere",
            &["is in eu-west-1. Set region: eu-west-1"],
        ),
        row(
            "global-token",
            vec![Rule::says("S3", invalid()).only(global)],
            "GlobalTokenRefused",
            &[
                "takes no tokens of the global STS host",
                "AWS_DEFAULT_REGION and AWS_REGION to eu-south-1",
                "With the region's own host it works.",
            ],
        )
        .in_region("eu-south-1"),
        row(
            "global-token-with-region",
            vec![Rule::says("S3", invalid().with("x-amz-bucket-region", "eu-south-1")).only(global)],
            "GlobalTokenRefused",
            global_says,
        )
        .in_region("eu-south-1"),
        row(
            "no-regional-host",
            vec![Rule::says("S3", invalid()).only(global), disabled.only(|asked| is_signed_for(asked, "eu-south-1"))],
            "GlobalTokenRefused",
            global_says,
        )
        .in_region("eu-south-1")
        .never_says(&["it works"]),
    ]
}

fn is_signed_for(asked: &Asked, region: &str) -> bool {
    // Where a bucket is, is told anywhere.
    asked.operation != "GetBucketLocation" && asked.region == region
}

fn is_of_the_global_host(asked: &Asked) -> bool {
    asked.session_region == "us-east-1"
}

#[tokio::test]
async fn a_bucket_of_another_region_and_tokens_that_a_region_refuses_are_said_so_and_heal_by_themselves() {
    let world = World::granted().await;
    let aws = ScriptedAws::start(&world);
    play(&world, &aws, &regions(), Fails::Storage).await;
}
