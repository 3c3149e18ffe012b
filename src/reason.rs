//! Why something is as it is, in one word: the closed set that conditions, locations and Events use.

/// What has to happen for a reason to go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: it is as it should be.
    None,
    /// It heals by itself, or by an object that arrives.
    Waits,
    /// Somebody has to edit something.
    Edit,
}

/// One table of all reasons: what it means, its name, its remedy.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $remedy:ident,)*) => {
        /// A reason, spelled in status as its variant's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word as status spells it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What has to happen for this reason to go away.
            pub fn remedy(self) -> Remedy {
                match self {
                    $(Self::$name => Remedy::$remedy,)*
                }
            }
        }
    };
}

reasons! {
    /// Everything asked for is proven and stands in the bundle.
    ProvenAndWritten: None,
    /// As `ProvenAndWritten`, but changes are seen late: the operator may not watch the Secrets.
    SecretsUnwatched: None,
    /// It stands in the bundle, and nobody has proven it.
    WrittenUnproven: None,
    /// The role was assumed.
    RoleAssumed: None,
    /// The bundle reads as intended.
    BundleMatches: None,
    /// The proof is under way.
    ProofPending: Waits,
    /// Proven before; AWS cannot be reached now to prove it again.
    ProofStale: None,
    /// The role does on S3 what Quay will do.
    StorageWorks: None,
    /// S3 is exercised once the role is assumed.
    NotChecked: Waits,
    /// The entry in the bundle is left as it is until the role is proven.
    NotProven: Waits,
    /// Being tried again.
    ProgressingWithRetry: Waits,
    /// The first outcome is on its way.
    Progressing: Waits,
    /// Somebody asked that nothing be done.
    Suspended: Edit,

    /// The spec (or the whole object) cannot be read as a `QuayStorage`.
    InvalidSpec: Edit,
    /// `roleArn` is no ARN of a role.
    InvalidRoleArn: Edit,
    /// The operator's administrator has not allowed this `endpointUrl`.
    EndpointNotAllowed: Edit,
    /// The STS endpoint that Quay's pods use cannot be known, so nothing can be proven there.
    StsEndpointUnknown: Edit,
    /// The Quay that runs is too old for what is asked of it.
    QuayTooOld: Edit,
    /// The environment of Quay's pods makes Quay do something else than what stands in the bundle.
    EnvironmentOverrides: Edit,

    /// The `QuayRegistry` does not exist, or is being deleted, or the cluster does not know the kind.
    RegistryMissing: Waits,
    /// The operator may not see `QuayRegistries`.
    RegistryForbidden: Waits,
    /// The `QuayRegistry` could not be read.
    RegistryUnreadable: Waits,
    /// The `QuayRegistry` does not name the output as its bundle (yet).
    RegistryPointsElsewhere: Edit,
    /// The `QuayRegistry` names no config bundle yet.
    BundleNotNamed: Waits,
    /// The Quay operator keeps the registry's object storage, or may.
    ObjectStorageManaged: Edit,

    /// The Secret with the access key does not exist.
    KeySecretMissing: Waits,
    /// The service account of `auth.webIdentity` does not exist, or may not be seen, or cannot be used.
    AccountUnusable: Waits,
    /// The API server did not answer what was asked of the service account.
    AccountUnanswered: Waits,
    /// The operator may not mint tokens for the service account.
    TokenForbidden: Waits,
    /// The service account's annotation `eks.amazonaws.com/role-arn` is missing or names another role.
    AnnotationMismatch: Waits,
    /// The operator may not annotate the service account, as it was asked to.
    AnnotateForbidden: Waits,
    /// The operator's administrator has not allowed this audience.
    AudienceNotAllowed: Edit,
    /// The cluster has no pod identity webhook, so that Quay's pods would get no token.
    WebhookMissing: Waits,
    /// The operator may not read the Secret with the access key.
    KeySecretForbidden: Waits,
    /// The API server did not give the Secret with the access key.
    KeySecretUnreadable: Waits,
    /// The Secret lacks a key, or the key is empty.
    MissingKey: Waits,
    /// The access key has characters that none has.
    MalformedKey: Edit,
    /// Both spellings are in the Secret, with different values.
    AmbiguousKey: Edit,
    /// A temporary key (ASIA…): Quay has no place for its session token.
    TemporaryKey: Edit,

    /// AWS refuses the role to this principal, or does not know the role.
    RoleNotAssumable: Waits,
    /// AWS does not know the access key, or it is inactive.
    UnknownAccessKey: Waits,
    /// The secret access key does not belong to the access key.
    WrongSecretKey: Waits,
    /// The operator's clock and AWS's differ too much.
    ClockSkew: Waits,
    /// The region is disabled in the account, or its STS host is.
    RegionDisabled: Waits,
    /// AWS refuses a service account's token: its audience, its issuer, or its time.
    TokenRefused: Waits,
    /// The bucket's region takes no tokens of the global STS host.
    GlobalTokenRefused: Waits,
    /// The bucket does not exist.
    BucketMissing: Waits,
    /// The bucket is in another region.
    BucketElsewhere: Waits,
    /// The role may not ask where the bucket is, so that a pod would not start.
    LocationDenied: Waits,
    /// The role may not put objects.
    PutDenied: Waits,
    /// The role may not get objects.
    GetDenied: Waits,
    /// The role may not delete objects.
    DeleteDenied: Waits,
    /// The role may not list the bucket.
    ListDenied: Waits,
    /// A key that is missing is answered with 403 instead of 404.
    MissingKeyForbidden: Waits,
    /// The role may not make, list or abort multipart uploads.
    MultipartDenied: Waits,
    /// The role may not copy objects.
    CopyDenied: Waits,
    /// A policy of the bucket or of its key stands in the way of how Quay encrypts.
    EncryptionDenied: Waits,
    /// The endpoint resolves to an address that the operator's administrator has not allowed.
    AddressNotAllowed: Waits,
    /// AWS asks for fewer requests.
    Throttled: Waits,
    /// No answer from AWS.
    AwsUnreachable: Waits,
    /// AWS answered something that is none of the above.
    UnexpectedAnswer: Waits,

    /// The bundle Secret does not exist, or is being deleted.
    BundleMissing: Waits,
    /// The operator may not read or change the bundle Secret.
    BundleForbidden: Waits,
    /// The API server did not give the bundle Secret.
    BundleUnreadable: Waits,
    /// The bundle Secret has no `config.yaml`.
    ConfigMissing: Waits,
    /// The bundle Secret is immutable.
    BundleImmutable: Edit,
    /// Another tool keeps the bundle Secret, and would undo what is written.
    BundleOwnedElsewhere: Edit,
    /// `config.yaml` cannot be edited with certainty.
    BundleUneditable: Edit,
    /// The bundle has the location at another place, and nobody consented to the move.
    WouldMoveData: Edit,
    /// The name of the output is that of a Secret that is somebody else's.
    OutputSecretTaken: Edit,
    /// The output cannot have that name, or a Secret that is an output is to be used as a bundle.
    OutputSecretRefused: Edit,
    /// Somebody has to approve of the change first.
    ApprovalPending: Edit,
    /// Somebody else undid what was written; it is put right later.
    EntryUndone: Waits,
    /// Somebody else keeps undoing what is written; it is put right no more.
    Contested: Edit,
    /// Another `QuayStorage` writes this location.
    LocationClaimed: Edit,
    /// What stood in the bundle before is kept, to be put back.
    BackupMade: None,
    /// What stood in the bundle before is not known.
    NoBackup: None,
    /// What stood in the bundle before is known, and cannot be put back.
    NotRestorable: None,
    /// The operator may not keep what stands in the bundle, as it was asked to.
    BackupForbidden: Waits,
    /// What stands in the bundle could not be kept.
    BackupFailed: Waits,
    /// Nothing was written that Quay could run.
    NothingWritten: Waits,
    /// Quay runs what was written.
    RolledOut: None,
    /// Pods of Quay still run what stood in the bundle before.
    RollingOut: Waits,
    /// The Quay operator does not roll out, and says so.
    RolloutBlocked: Edit,
    /// A workload that runs Quay does not exist.
    WorkloadMissing: Waits,
    /// The operator may not see a workload that runs Quay, or not roll it.
    WorkloadForbidden: Waits,
    /// The API server did not give a workload that runs Quay, or did not take that it is rolled.
    WorkloadUnreadable: Waits,
    /// A workload of `spec.restart` does not mount the bundle.
    BundleNotMounted: Edit,
    /// The `StorageIdentity` of `auth.identityRef` does not exist.
    IdentityMissing: Waits,
    /// The `StorageIdentity` has no role, or no key, yet.
    IdentityPending: Waits,
    /// The operator was started without identities.
    IdentitiesDisabled: Edit,

    /// User, role and key are as intended.
    Provisioned: None,
    /// No `IdentityPolicy` allows what is asked for.
    IdentityNotAllowed: Edit,
    /// The `IdentityPolicy` allows no more of them.
    TooManyIdentities: Edit,
    /// The user or the role is somebody else's.
    IdentityTaken: Edit,
    /// It has made a user or a role of another name.
    IdentityRenamed: Edit,
    /// IAM refuses what the operator's own policy is to allow.
    IamForbidden: Waits,
    /// IAM did not answer, or not in a way that is known.
    IamUnanswered: Waits,
    /// IAM does not know the fresh user yet that the role is to trust.
    PrincipalPending: Waits,
    /// The operator has no AWS identity of its own.
    NoAwsIdentity: Waits,
    /// The issuer of the cluster's tokens is not known.
    IssuerUnknown: Waits,
    /// The account has no identity provider for the cluster's tokens.
    ProviderMissing: Waits,
    /// The Secret that the key is to be put into is somebody else's.
    KeySecretTaken: Edit,
    /// The operator may not write the Secret that the key is to be put into.
    KeySecretUnwritable: Waits,
    /// The user has two keys, and one of them is not the operator's.
    ForeignKey: Edit,
    /// The user has two keys, and neither may be deleted.
    NoRoomForKey: Waits,
    /// A new key is being made, proven and put into the Secret.
    MakingKey: Waits,
    /// Somebody does not have the new key yet.
    WaitingForConsumers: Waits,
    /// The old key works until it is certain that nobody uses it.
    KeepingOldKey: Waits,
    /// Nobody can say whether the old key is used: somebody has to.
    ConfirmationNeeded: Edit,
    /// The old key is inactive, and is deleted if nobody misses it.
    OldKeyInactive: Waits,
    /// The old key was deactivated and missed, and works again.
    OldKeyStillUsed: Waits,
    /// A `QuayStorage` refers to the `StorageIdentity` that is to go.
    InUse: Waits,

    /// Somebody else wrote the bundle at the same time.
    Raced: Waits,
    /// The API server refused the change of the bundle.
    WriteRefused: Waits,
}

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The word.
    pub reason: Reason,
    /// What was tried, what was answered, what to change. The same failure gives the same bytes, and no secret is in it.
    pub message: String,
}

impl Failure {
    /// A failure of this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
