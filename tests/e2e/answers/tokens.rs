//! What STS answers to a service account's token.

use futures::future::join_all;
use serde_json::json;

use super::CONFIG;
use crate::harness::operator::Operator;
use crate::harness::scripted_aws::{Rule, ScriptedAws, sts_error};
use crate::harness::webhook::{account, installed, location};
use crate::harness::world::{World, apply, is, message};

const CALL: &str = "AssumeRoleWithWebIdentity";

#[tokio::test]
async fn a_token_that_aws_does_not_accept_is_told_from_a_role_that_refuses_and_heals_by_itself() {
    installed().await;
    let world = World::granted().await;
    world.bind("registry-sts-mint").await;
    let aws = ScriptedAws::start(&world);
    let operator = Operator::start_with(&world, &aws.url, &["--sts-rate", "100", "--log", "trace"]).await;
    let rows = [
        ("audience", 400, "InvalidIdentityToken", "Incorrect token audience", "TokenRefused"),
        ("provider", 400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account", "TokenRefused"),
        ("claim", 403, "IDPRejectedClaim", "Token is expired", "TokenRefused"),
        ("expired", 400, "ExpiredTokenException", "Token expired", "TokenRefused"),
        ("trust", 403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", "RoleNotAssumable"),
    ];
    join_all(rows.map(|(name, status, code, text, reason)| {
        let (world, aws) = (&world, &aws);
        async move {
            let iam = aws.account(world, name, "us-east-1").await;
            aws.script(&iam, &[Rule::says(CALL, sts_error(status, code, text))]);
            apply(&world.admin, &account(world, name, &json!({"eks.amazonaws.com/role-arn": iam.role_arn}))).await;
            let before = world.put_bundle(name, CONFIG).await;
            let location = location(&json!({"serviceAccountName": name}), &iam.bucket);
            world.put_resource(name, name, &[location]).await;

            let refused = world.until_reason(name, reason).await;
            assert!(is(&refused, "RoleProven", "False") && is(&refused, "Reconciling", "True"), "{name}");
            let told = message(&refused, "Ready");
            let subject = format!("system:serviceaccount:{}:{name}", world.namespace);
            assert!(told.contains(&subject) && told.contains("sts.amazonaws.com"), "{told}");
            assert_eq!(world.bundle(name).await.metadata.resource_version, before.metadata.resource_version, "{name}");

            aws.heal(&iam);
            world.until_ready(name).await;
            let config = world.config(name).await;
            assert!(config.contains("STSS3Storage") && !config.contains("sts_"), "{config}");
            // The driver's session and config-tool's, each with a name of its own.
            assert!(aws.count(&iam, CALL) >= 3, "{name}");
        }
    }))
    .await;
    // Whatever is logged, no token of a service account is: each begins alike.
    let log = operator.log();
    assert!(log.contains(CALL) && !log.contains("eyJhbGciOi"), "a token was logged");
    world.assert_nothing_secret_was_told(&log).await;
}
