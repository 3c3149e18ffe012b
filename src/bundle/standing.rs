//! Every location that stands, with the arguments of its driver, for who wants to say the same as it does.

use secrecy::SecretString;

use super::refusal::{Problem, Refusal};
use super::storage::{ARGUMENTS, DRIVER, STATIC_KEYS_DRIVER, SignatureVersion};
use super::tree::{Kind, Node, Pair, Style};
use super::{ConfigYaml, DEFAULTS, STORAGE};
use crate::arn::RoleArn;
use crate::place::{Bucket, EndpointUrl, LocationName, Region, StoragePath};

/// Arguments that other drivers take, or config-tool does, and that may therefore be named.
const OTHER_ARGUMENTS: [&str; 12] = [
    "host",
    "port",
    "is_secure",
    "s3_access_key",
    "s3_secret_key",
    "aws_session_token",
    "sts_web_identity_token_file",
    "sts_role_session_name",
    "sts_external_id",
    "external_id",
    "minimum_chunk_size_mb",
    "server_side_assembly",
];
const NAMES: &str = "a name that all YAML readers take for one text: 1 to 63 of A-Z a-z 0-9 . _ -, in quotes";
const A_TEXT: &str = "one text to all YAML readers (put it in quotes)";

/// A location that stands.
pub struct StandingEntry {
    /// Its name, if it is one that a location can have.
    pub name: Option<LocationName>,
    /// The line of its name, counted from 1.
    pub line: usize,
    /// What stands there.
    pub driver: StandingDriver,
}

/// What stands at a location.
pub enum StandingDriver {
    /// `STSS3Storage`.
    Sts(Box<StandingArguments>),
    /// `S3Storage`: a key, and no role.
    StaticKeys(Box<StandingArguments>),
    /// Another driver; its name, if it looks like one.
    Other(Option<String>),
    /// One of ours that does not say what it means to all readers, or says what Quay does not take.
    Unclear(Refusal),
}

/// The arguments of an entry, as all readers read them.
pub struct StandingArguments {
    /// `sts_role_arn`.
    pub role_arn: Option<RoleArn>,
    /// `s3_bucket`.
    pub bucket: Bucket,
    /// `storage_path`.
    pub storage_path: StoragePath,
    /// `s3_region`.
    pub region: Option<Region>,
    /// `endpoint_url`, or `host` and `port`.
    pub url: Option<EndpointUrl>,
    /// The id of the access key; none where it is not given or empty.
    pub access_key_id: Option<SecretString>,
    /// The secret of the access key; none where it is not given or empty.
    pub secret_access_key: Option<SecretString>,
    /// Whether a key is given that is empty: Quay takes that for none, and config-tool need not.
    pub has_empty_key: bool,
    /// `maximum_chunk_size_gb`.
    pub maximum_chunk_size_gb: Option<u32>,
    /// `signature_version`.
    pub signature_version: Option<SignatureVersion>,
}

impl ConfigYaml {
    /// The locations, in the document's order; those without a value are left out.
    pub fn standing(&self) -> Vec<StandingEntry> {
        self.locations().iter().filter(|pair| !pair.value.is_null()).map(entry).collect()
    }

    /// The location of a name; one without a value does not stand.
    pub fn standing_at(&self, name: &str) -> Option<StandingEntry> {
        self.location(name).filter(|pair| !pair.value.is_null()).map(entry)
    }

    /// The names in `DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS` that all readers read alike: what every blob is replicated to.
    pub fn default_locations(&self) -> Vec<&str> {
        let list = self.root.get(DEFAULTS).map(|pair| &pair.value);
        match list.map(|list| &list.kind) {
            Some(Kind::List { items, .. }) => items.iter().filter_map(Node::string).collect(),
            _ => Vec::new(),
        }
    }
}

pub(super) fn entry(pair: &Pair) -> StandingEntry {
    let name = pair.key.string().and_then(|name| name.parse().ok());
    let driver = driver(pair, name.as_ref()).unwrap_or_else(StandingDriver::Unclear);
    StandingEntry { name, line: pair.key.line, driver }
}

fn driver(pair: &Pair, name: Option<&LocationName>) -> Result<StandingDriver, Refusal> {
    let items = match &pair.value.kind {
        Kind::List { items, .. } => items.as_slice(),
        Kind::Alias => return Err(pair.value.refuse(Problem::Alias)),
        _ => &[],
    };
    let driver = items.first().and_then(Node::text);
    let Some(driver @ (DRIVER | STATIC_KEYS_DRIVER)) = driver else {
        let looks_like_one =
            |name: &&str| name.ends_with("Storage") && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        return Ok(StandingDriver::Other(driver.filter(looks_like_one).map(str::to_owned)));
    };
    pair.key.guard_all()?;
    pair.value.guard_all()?;
    let Some(name) = name else {
        return Err(pair.key.refuse(Problem::WrongKind { key: format!("location in {STORAGE}"), expected: NAMES }));
    };
    let [_, arguments @ Node { kind: Kind::Map { .. }, .. }] = items else {
        let expected = "a list of a driver and its arguments";
        return Err(pair.value.refuse(Problem::WrongKind { key: name.to_string(), expected }));
    };
    let read = Box::new(StandingArguments::read(driver, arguments)?);
    Ok(if driver == DRIVER { StandingDriver::Sts(read) } else { StandingDriver::StaticKeys(read) })
}

impl StandingArguments {
    fn read(driver: &str, arguments: &Node) -> Result<Self, Refusal> {
        let is_ours = driver == DRIVER;
        for pair in arguments.pairs() {
            let key = pair.key.string();
            if is_ours && !key.is_some_and(|key| ARGUMENTS.contains(&key)) {
                let named = OTHER_ARGUMENTS.into_iter().find(|known| pair.key.text() == Some(known));
                return Err(pair.key.refuse(Problem::NotTaken(named)));
            }
        }
        let (id, secret) =
            if is_ours { ("sts_user_access_key", "sts_user_secret_key") } else { ("s3_access_key", "s3_secret_key") };
        let (given_id, given_secret) = (text(arguments, id)?, text(arguments, secret)?);
        let key = |given: Option<&str>| given.filter(|key| !key.is_empty()).map(SecretString::from);
        let signature_version = |text: &str| match text {
            "s3v4" => Some(SignatureVersion::S3v4),
            "v4" => Some(SignatureVersion::V4),
            _ => None,
        };
        let lacks = |key| arguments.refuse(Problem::Lacks(key));
        let role = |text: &str| text.parse().ok();
        // Two characters end a line for some readers, and are no control characters.
        let path = |text: &str| text.parse().ok().filter(|_| !text.contains(['\u{2028}', '\u{2029}']));
        Ok(Self {
            role_arn: if is_ours { parsed(arguments, "sts_role_arn", "the ARN of an IAM role", role)? } else { None },
            bucket: parsed(arguments, "s3_bucket", "the name of a bucket, as a text", |text| text.parse().ok())?
                .ok_or_else(|| lacks("s3_bucket"))?,
            storage_path: parsed(arguments, "storage_path", "a path of one line", path)?
                .ok_or_else(|| lacks("storage_path"))?,
            region: parsed(arguments, "s3_region", "an AWS region", |text| text.parse().ok())?,
            url: match parsed(arguments, "endpoint_url", "http(s)://host[:port]", |text| text.parse().ok())? {
                None if !is_ours => host(arguments)?,
                url => url,
            },
            access_key_id: key(given_id),
            secret_access_key: key(given_secret),
            has_empty_key: [given_id, given_secret].contains(&Some("")),
            maximum_chunk_size_gb: chunk_size(arguments)?,
            signature_version: parsed(arguments, "signature_version", "s3v4 or v4", signature_version)?,
        })
    }
}

/// The text of an argument, which all readers take for that.
fn text<'a>(arguments: &'a Node, key: &'static str) -> Result<Option<&'a str>, Refusal> {
    let Some(pair) = arguments.get(key) else { return Ok(None) };
    match pair.value.string() {
        Some(text) if pair.key.string().is_some() => Ok(Some(text)),
        _ => Err(pair.value.refuse(Problem::WrongKind { key: key.to_owned(), expected: A_TEXT })),
    }
}

fn parsed<T>(
    arguments: &Node,
    key: &'static str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    let Some(text) = text(arguments, key)? else { return Ok(None) };
    let wrong = || Problem::WrongKind { key: key.to_owned(), expected };
    let refusal = || arguments.get(key).map_or_else(|| Refusal::whole(wrong()), |pair| pair.value.refuse(wrong()));
    parse(text).map(Some).ok_or_else(refusal)
}

/// `host` and `port` of `S3Storage`, as one URL.
fn host(arguments: &Node) -> Result<Option<EndpointUrl>, Refusal> {
    let port = arguments.get("port").and_then(|port| port.value.text()).map(|port| format!(":{port}"));
    let url = |host: &str| format!("https://{host}{}", port.as_deref().unwrap_or_default()).parse().ok();
    parsed(arguments, "host", "the name of a host, beside a port that is a number", url)
}

fn chunk_size(arguments: &Node) -> Result<Option<u32>, Refusal> {
    const KEY: &str = "maximum_chunk_size_gb";
    let Some(pair) = arguments.get(KEY) else { return Ok(None) };
    let is_plain = matches!(pair.value.kind, Kind::Scalar { style: Style::Plain, .. });
    // In any other spelling some reader takes another number for it.
    let size = |text: &str| (1..=5).find(|size: &u32| text == size.to_string());
    let size = pair.value.text().filter(|_| is_plain).and_then(size);
    let wrong = || Problem::WrongKind { key: KEY.to_owned(), expected: "a number from 1 to 5" };
    size.map(Some).ok_or_else(|| pair.value.refuse(wrong()))
}
