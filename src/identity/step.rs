//! One step towards what is desired: one call of IAM, or the one write of the Secret.

use std::collections::BTreeMap;

use serde_json::Value;

use super::desired::{Desired, POLICY_NAME};
use super::marker::{INTENT, Intent, MADE, Marker, Phase, tag_of};
use crate::plan::key::last_four;

/// What is done to a user or to a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A user.
    User,
    /// A role.
    Role,
}

impl Kind {
    /// As an ARN and a sentence have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Role => "role",
        }
    }
}

/// A step. What is to be made of names and documents stands in [`Desired`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the user or role, with its boundary and its tags.
    Create(Kind),
    /// Put the tags on it that say whose it is.
    Tag(Kind),
    /// Put the permissions boundary on it.
    Bound(Kind),
    /// Put its inline policy.
    PutPolicy(Kind),
    /// Remove an inline policy that is not ours.
    DeletePolicy(Kind, String),
    /// Detach a managed policy.
    Detach(Kind, String),
    /// Make the role trust whom it is to trust, and nobody else.
    Trust,
    /// Note on the user that a key is about to be made, and which there are.
    NoteIntent(Intent),
    /// Make a key. Its secret is told once.
    CreateKey,
    /// Note on the user what a key is for.
    Mark(String, Marker),
    /// Put the new key into the Secret.
    Publish(String),
    /// Make a key work again.
    Activate(String),
    /// Make a key not work, in a way that can be undone.
    Deactivate(String),
    /// Delete a key.
    DeleteKey(String),
    /// Take the notes of keys that are gone from the user.
    Unmark(Vec<String>),
    /// Delete the user or role.
    Delete(Kind),
}

impl Step {
    /// What it does, for people. Keys are told by their last four characters.
    pub fn says(&self, desired: &Desired) -> String {
        let called = |kind: Kind| format!("{} {}", kind.word(), name(desired, kind));
        match self {
            Self::Create(kind) => format!("create {} within its permissions boundary", called(*kind)),
            Self::Tag(kind) => format!("tag {} as this StorageIdentity's", called(*kind)),
            Self::Bound(kind) => format!("put the permissions boundary on {}", called(*kind)),
            Self::PutPolicy(kind) => format!("put inline policy {POLICY_NAME} on {}", called(*kind)),
            Self::DeletePolicy(kind, policy) => format!("delete inline policy {policy} of {}", called(*kind)),
            Self::Detach(kind, policy) => format!("detach {policy} from {}", called(*kind)),
            Self::Trust => match desired.user() {
                Some(user) => format!("let {} be assumed by user {} alone", called(Kind::Role), user.name),
                None => format!("let {} be assumed by the service account alone", called(Kind::Role)),
            },
            Self::NoteIntent(_) => format!("note on {} that a key is about to be made", called(Kind::User)),
            Self::CreateKey => format!("create an access key of {}", called(Kind::User)),
            Self::Mark(id, marker) => {
                format!("note on {} that key {} is {}", called(Kind::User), four(id), marker.phase.word())
            }
            Self::Publish(id) => format!("put key {} into the Secret", four(id)),
            Self::Activate(id) => format!("activate key {} of {}", four(id), called(Kind::User)),
            Self::Deactivate(id) => format!("deactivate key {} of {}", four(id), called(Kind::User)),
            Self::DeleteKey(id) => format!("delete key {} of {}", four(id), called(Kind::User)),
            Self::Unmark(_) => format!("remove the notes of deleted keys from {}", called(Kind::User)),
            Self::Delete(kind) => format!("delete {}", called(*kind)),
        }
    }

    /// The IAM action that it needs; none for the Secret.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Create(Kind::User) => "iam:CreateUser",
            Self::Create(Kind::Role) => "iam:CreateRole",
            Self::Tag(Kind::User) | Self::NoteIntent(_) | Self::Mark(..) => "iam:TagUser",
            Self::Tag(Kind::Role) => "iam:TagRole",
            Self::Bound(Kind::User) => "iam:PutUserPermissionsBoundary",
            Self::Bound(Kind::Role) => "iam:PutRolePermissionsBoundary",
            Self::PutPolicy(Kind::User) => "iam:PutUserPolicy",
            Self::PutPolicy(Kind::Role) => "iam:PutRolePolicy",
            Self::DeletePolicy(Kind::User, _) => "iam:DeleteUserPolicy",
            Self::DeletePolicy(Kind::Role, _) => "iam:DeleteRolePolicy",
            Self::Detach(Kind::User, _) => "iam:DetachUserPolicy",
            Self::Detach(Kind::Role, _) => "iam:DetachRolePolicy",
            Self::Trust => "iam:UpdateAssumeRolePolicy",
            Self::CreateKey => "iam:CreateAccessKey",
            Self::Publish(_) => "secrets",
            Self::Activate(_) | Self::Deactivate(_) => "iam:UpdateAccessKey",
            Self::DeleteKey(_) => "iam:DeleteAccessKey",
            Self::Unmark(_) => "iam:UntagUser",
            Self::Delete(Kind::User) => "iam:DeleteUser",
            Self::Delete(Kind::Role) => "iam:DeleteRole",
        }
    }

    /// The command of the AWS CLI that does the same; none for the Secret.
    pub fn command(&self, desired: &Desired) -> Option<String> {
        let (operation, arguments) = self.call(desired)?;
        let mut command = format!("aws iam {operation}");
        for (flag, value) in arguments {
            command.push_str(" --");
            command.push_str(flag);
            command.push(' ');
            command.push_str(&value);
        }
        Some(command)
    }

    /// The tags that it puts: whose the user or role is always, because the operator may tag nothing without saying so.
    pub fn tags(&self, desired: &Desired) -> BTreeMap<String, String> {
        let mut tags = desired.owner.tags();
        match self {
            Self::NoteIntent(intent) => {
                tags.insert(INTENT.to_owned(), intent.to_string());
            }
            Self::Mark(id, marker) => {
                tags.insert(tag_of(id), marker.to_string());
                if marker.phase == Phase::Pending {
                    tags.insert(INTENT.to_owned(), MADE.to_owned());
                }
            }
            _ => {}
        }
        tags
    }

    fn call(&self, desired: &Desired) -> Option<(&'static str, Vec<(&'static str, String)>)> {
        let user = || ("user-name", quoted(name(desired, Kind::User)));
        let of = |kind: Kind| match kind {
            Kind::User => user(),
            Kind::Role => ("role-name", quoted(name(desired, Kind::Role))),
        };
        let key = |id: &String| ("access-key-id", quoted(id));
        let boundary = || ("permissions-boundary", quoted(&desired.boundary));
        let tags = || ("tags", as_arguments(&self.tags(desired)));
        Some(match self {
            Self::Create(kind) => {
                let mut arguments = vec![of(*kind), ("path", quoted(&desired.path)), boundary(), tags()];
                if *kind == Kind::Role {
                    arguments.insert(1, ("assume-role-policy-document", json(&desired.trust)));
                }
                (if *kind == Kind::User { "create-user" } else { "create-role" }, arguments)
            }
            Self::Tag(kind) => (pick(*kind, "tag-user", "tag-role"), vec![of(*kind), tags()]),
            Self::Bound(kind) => (
                pick(*kind, "put-user-permissions-boundary", "put-role-permissions-boundary"),
                vec![of(*kind), boundary()],
            ),
            Self::PutPolicy(kind) => {
                let document = ("policy-document", json(permissions(desired, *kind)));
                let arguments = vec![of(*kind), ("policy-name", POLICY_NAME.into()), document];
                (pick(*kind, "put-user-policy", "put-role-policy"), arguments)
            }
            Self::DeletePolicy(kind, policy) => (
                pick(*kind, "delete-user-policy", "delete-role-policy"),
                vec![of(*kind), ("policy-name", quoted(policy))],
            ),
            Self::Detach(kind, policy) => (
                pick(*kind, "detach-user-policy", "detach-role-policy"),
                vec![of(*kind), ("policy-arn", quoted(policy))],
            ),
            Self::Trust => {
                ("update-assume-role-policy", vec![of(Kind::Role), ("policy-document", json(&desired.trust))])
            }
            Self::NoteIntent(_) | Self::Mark(..) => ("tag-user", vec![user(), tags()]),
            Self::CreateKey => ("create-access-key", vec![user()]),
            Self::Publish(_) => return None,
            Self::Activate(id) => ("update-access-key", vec![user(), key(id), ("status", "Active".into())]),
            Self::Deactivate(id) => ("update-access-key", vec![user(), key(id), ("status", "Inactive".into())]),
            Self::DeleteKey(id) => ("delete-access-key", vec![user(), key(id)]),
            Self::Unmark(keys) => ("untag-user", vec![user(), ("tag-keys", keys.join(" "))]),
            Self::Delete(kind) => (pick(*kind, "delete-user", "delete-role"), vec![of(*kind)]),
        })
    }
}

fn pick(kind: Kind, user: &'static str, role: &'static str) -> &'static str {
    match kind {
        Kind::User => user,
        Kind::Role => role,
    }
}

/// The name of the user or role; a user's is empty where there is to be none.
pub fn name(desired: &Desired, kind: Kind) -> &str {
    match kind {
        Kind::User => desired.user().map_or("", |user| &user.name),
        Kind::Role => &desired.role.name,
    }
}

/// What the user or role is to be allowed.
pub fn permissions(desired: &Desired, kind: Kind) -> &Value {
    match kind {
        Kind::User => desired.user().map_or(&Value::Null, |user| &user.permissions),
        Kind::Role => &desired.role.permissions,
    }
}

fn as_arguments(tags: &BTreeMap<String, String>) -> String {
    let each: Vec<String> = tags.iter().map(|(key, value)| quoted(&format!("Key={key},Value={value}"))).collect();
    each.join(" ")
}

fn json(value: &Value) -> String {
    quoted(&value.to_string())
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-/:".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A key as people tell it from others.
pub fn four(id: &str) -> String {
    format!("…{}", last_four(id))
}
