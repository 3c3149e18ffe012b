//! How the operator gets its AWS identity on `OpenShift`: the role that the Subscription names is asked for by a
//! `CredentialsRequest`, and the Cloud Credential Operator answers with a Secret, which deploy/ mounts.

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use super::secrets::FIELD_MANAGER;
use super::{ApiProblem, answered};
use crate::arn::RoleArn;

/// The name of the `CredentialsRequest`, and of the service account that it is for.
const NAME: &str = "registry-sts";
/// The Secret that answers it.
const SECRET: &str = "registry-sts-aws";
/// Where deploy/ mounts the token that opens the role.
const TOKEN: &str = "/var/run/secrets/openshift/serviceaccount/token";

/// Asks for the role; what was asked for before is changed to it.
///
/// # Errors
/// What the API server answered instead: `NotFound` where the cluster has no Cloud Credential Operator.
pub async fn ask(client: &Client, namespace: &str, role: &RoleArn) -> Result<(), ApiProblem> {
    let kind = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("cloudcredential.openshift.io", "v1", "CredentialsRequest"),
        "credentialsrequests",
    );
    let requests: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    answered(requests.patch(NAME, &params, &Patch::Apply(&request(namespace, role)))).await.map(drop)
}

fn request(namespace: &str, role: &RoleArn) -> Value {
    json!({
        "apiVersion": "cloudcredential.openshift.io/v1",
        "kind": "CredentialsRequest",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "cloudTokenPath": TOKEN,
            "secretRef": {"name": SECRET, "namespace": namespace},
            "serviceAccountNames": [NAME],
            "providerSpec": {
                "apiVersion": "cloudcredential.openshift.io/v1",
                "kind": "AWSProviderSpec",
                // What the role may do is what it was made with: `registry-sts policy --operator` prints it.
                "statementEntries": [{"effect": "Allow", "action": ["iam:GetUser"], "resource": "*"}],
                "stsIAMRoleARN": role.as_str(),
            },
        },
    })
}
