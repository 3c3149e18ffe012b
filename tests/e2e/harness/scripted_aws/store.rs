//! What AWS answers where the script says nothing: STS that gives a role's credentials, and S3 that keeps objects and
//! uploads in memory.

use std::collections::{BTreeMap, HashMap};

use super::http::{Http, Message};

/// In which every answer's time stands: long ago for no one, and never the same as a test's.
const THEN: &str = "2126-01-01T00:00:00.000Z";
/// AWS's word for an answer, which nobody is to be told.
pub(crate) const REQUEST_ID: &str = "4442587FB7D0A2F9SCRIPTED";

/// Buckets: all that are asked for are there.
#[derive(Default)]
pub(super) struct Store {
    /// By bucket and key.
    objects: BTreeMap<(String, String), Vec<u8>>,
    /// By bucket, key and id, with the part that came.
    uploads: BTreeMap<(String, String, String), Vec<u8>>,
    count: usize,
}

/// What an S3 request is about.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) operation: &'static str,
    pub(super) bucket: String,
    pub(super) key: String,
}

impl About {
    pub(super) fn of(message: &Message) -> Self {
        let path = message.path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let has = |name: &str| message.query.contains_key(name);
        let operation = match (message.method.as_str(), key.is_empty()) {
            ("HEAD", true) => "HeadBucket",
            ("GET", true) if has("location") => "GetBucketLocation",
            ("GET", true) if has("uploads") => "ListMultipartUploads",
            ("GET", true) => "ListObjectsV2",
            ("HEAD", false) => "HeadObject",
            ("GET", false) => "GetObject",
            ("PUT", false) if !message.header("x-amz-copy-source").is_empty() => "CopyObject",
            ("PUT", false) if has("uploadId") => "UploadPart",
            ("PUT", false) => "PutObject",
            ("POST", false) if has("uploads") => "CreateMultipartUpload",
            ("POST", false) => "CompleteMultipartUpload",
            ("DELETE", false) if has("uploadId") => "AbortMultipartUpload",
            ("DELETE", false) => "DeleteObject",
            _ => "Unknown",
        };
        Self { operation, bucket: bucket.into(), key: key.into() }
    }
}

impl Store {
    /// How many objects and uploads a bucket has.
    pub(super) fn count(&self, bucket: &str) -> usize {
        self.objects.keys().filter(|(b, _)| b == bucket).count() + self.uploads.keys().filter(|u| u.0 == bucket).count()
    }

    /// Does what is asked, and answers as S3 does. `region` is the bucket's.
    pub(super) fn answer(&mut self, message: &Message, about: &About, region: &str) -> Http {
        let (bucket, key) = (about.bucket.clone(), about.key.clone());
        let place = (bucket.clone(), key.clone());
        let upload = message.query.get("uploadId").cloned().unwrap_or_default();
        let upload = (bucket.clone(), key.clone(), upload);
        let no_key = || s3_error(404, "NoSuchKey", "The specified key does not exist.");
        let no_upload = || s3_error(404, "NoSuchUpload", "The specified upload does not exist.");
        let etag = |http: Http| http.with("etag", "\"d41d8cd98f00b204e9800998ecf8427e\"");
        match about.operation {
            "HeadBucket" => Http::new(200, "").with("x-amz-bucket-region", region),
            "GetBucketLocation" => {
                let named = if region == "us-east-1" { "" } else { region };
                xml("LocationConstraint", named)
            }
            "ListObjectsV2" => xml("ListBucketResult", &self.listed(message, &bucket, false)),
            "ListMultipartUploads" => xml("ListMultipartUploadsResult", &self.listed(message, &bucket, true)),
            "HeadObject" | "GetObject" => {
                self.objects.get(&place).map_or_else(no_key, |b| etag(Http::new(200, &b[..])))
            }
            "PutObject" => {
                self.objects.insert(place, message.body.clone());
                etag(Http::new(200, ""))
            }
            "CopyObject" => {
                let source = message.header("x-amz-copy-source").trim_start_matches('/').to_owned();
                let source = source.split_once('/').map(|(b, k)| (b.to_owned(), k.to_owned())).unwrap_or_default();
                let Some(body) = self.objects.get(&source).cloned() else { return no_key() };
                self.objects.insert(place, body);
                xml("CopyObjectResult", &format!("<LastModified>{THEN}</LastModified><ETag>\"x\"</ETag>"))
            }
            "CreateMultipartUpload" => {
                self.count += 1;
                let id = format!("upload-{}", self.count);
                self.uploads.insert((bucket, key, id.clone()), Vec::new());
                xml("InitiateMultipartUploadResult", &format!("<UploadId>{id}</UploadId>"))
            }
            "UploadPart" => match self.uploads.get_mut(&upload) {
                Some(part) => {
                    part.clone_from(&message.body);
                    etag(Http::new(200, ""))
                }
                None => no_upload(),
            },
            "CompleteMultipartUpload" => match self.uploads.remove(&upload) {
                Some(body) => {
                    self.objects.insert(place, body);
                    xml("CompleteMultipartUploadResult", "<ETag>\"x-1\"</ETag>")
                }
                None => no_upload(),
            },
            "AbortMultipartUpload" => self.uploads.remove(&upload).map_or_else(no_upload, |_| Http::new(204, "")),
            "DeleteObject" => {
                self.objects.remove(&place);
                Http::new(204, "")
            }
            _ => {
                s3_error(501, "NotImplemented", "A header you provided implies functionality that is not implemented.")
            }
        }
    }

    fn listed(&self, message: &Message, bucket: &str, uploads: bool) -> String {
        let prefix = message.query.get("prefix").map_or("", String::as_str);
        let is_in = |b: &str, key: &str| b == bucket && key.starts_with(prefix);
        if uploads {
            let found = self.uploads.keys().filter(|(b, key, _)| is_in(b, key));
            let row = |(_, key, id): &(String, String, String)| {
                format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{THEN}</Initiated></Upload>")
            };
            return found.map(row).collect();
        }
        let found = self.objects.keys().filter(|(b, key)| is_in(b, key));
        let row = |(_, key): &(String, String)| {
            format!("<Contents><Key>{key}</Key><LastModified>{THEN}</LastModified><Size>1</Size></Contents>")
        };
        found.map(row).collect()
    }
}

/// A successful answer of STS to an action, with the credentials that it gives.
pub(super) fn sts_answer(action: &str, form: &HashMap<String, String>, who: &str, credentials: [&str; 3]) -> Http {
    let [id, secret, token] = credentials;
    let role = form.get("RoleArn").map_or("", String::as_str);
    let session = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/");
    let result = match action {
        "GetCallerIdentity" => {
            format!("<UserId>AIDASCRIPTED</UserId><Account>123456789012</Account><Arn>{who}</Arn>")
        }
        _ => format!(
            "<AssumedRoleUser><AssumedRoleId>AROASCRIPTED:quay</AssumedRoleId><Arn>{session}/quay</Arn></AssumedRoleUser><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{THEN}</Expiration></Credentials>"
        ),
    };
    let body = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{result}</{action}Result><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></{action}Response>"
    );
    Http::new(200, body).with("content-type", "text/xml")
}

/// An error as STS spells it.
pub(crate) fn sts_error(status: u16, code: &str, text: &str) -> Http {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
    );
    Http::new(status, body).with("content-type", "text/xml").with("x-amzn-requestid", REQUEST_ID)
}

/// An error as S3 spells it.
pub(crate) fn s3_error(status: u16, code: &str, text: &str) -> Http {
    s3_error_in(status, code, text, "")
}

/// An error of S3 with further elements.
pub(crate) fn s3_error_in(status: u16, code: &str, text: &str, more: &str) -> Http {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{text}</Message>{more}<RequestId>{REQUEST_ID}</RequestId><HostId>host</HostId></Error>"
    );
    Http::new(status, body).with("content-type", "application/xml").with("x-amz-request-id", REQUEST_ID)
}

fn xml(root: &str, inner: &str) -> Http {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}</{root}>"
    );
    Http::new(200, body).with("content-type", "application/xml").with("x-amz-request-id", REQUEST_ID)
}
