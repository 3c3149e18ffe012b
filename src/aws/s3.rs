//! S3 as Quay calls it, one method an operation.

use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, ServerSideEncryption};
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};

use super::sts::Session;
use super::{Aws, CALL_TIMEOUT, framework, read, timeouts};
use crate::place::{Bucket, Endpoint};
use crate::verdict::Answer;

/// A bucket, as a session of the role reaches it.
#[derive(Clone)]
pub struct S3 {
    client: aws_sdk_s3::Client,
    bucket: String,
}

/// An object or an upload that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its key.
    pub key: String,
    /// Of an upload, its id.
    pub upload_id: Option<String>,
    /// When it was made, in seconds since the epoch, as S3 says.
    pub since: i64,
}

/// What is put into an object.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    /// Its bytes.
    pub bytes: &'static [u8],
    /// Their MD5 in base64, which buckets with a default retention demand.
    pub md5: &'static str,
}

/// How objects are to be encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// With the header that asks for AES256.
    Aes256,
    /// Without a header: as the bucket does by default.
    Default,
}

impl Encryption {
    fn header(self) -> Option<ServerSideEncryption> {
        (self == Self::Aes256).then_some(ServerSideEncryption::Aes256)
    }
}

impl Aws {
    /// The bucket as Quay's driver reaches it: path style, at the region's host or at `endpoint_url`.
    pub fn s3(&self, session: &Session, endpoint: &Endpoint, signing_region: &str, bucket: &Bucket) -> S3 {
        let region = match endpoint {
            Endpoint::Region(region) => region.as_str(),
            Endpoint::Url(_) => signing_region,
        };
        self.s3_at(session, &self.s3_url(endpoint), region, true, bucket)
    }

    /// The bucket as config-tool reaches it: at the global host, whatever the region, until it knows where the bucket
    /// is; then at that region's.
    pub fn s3_of_config_tool(
        &self,
        session: &Session,
        endpoint: &Endpoint,
        found_in: Option<&str>,
        bucket: &Bucket,
    ) -> S3 {
        let region = found_in.unwrap_or("us-east-1");
        match (endpoint, &self.configured.s3) {
            (Endpoint::Region(_), None) => {
                let host = found_in.map_or("s3.amazonaws.com".into(), |region| format!("s3.{region}.amazonaws.com"));
                self.s3_at(session, &format!("https://{host}"), region, found_in.is_none(), bucket)
            }
            (Endpoint::Region(_), Some(url)) | (Endpoint::Url(url), _) => {
                self.s3_at(session, url.as_str(), region, true, bucket)
            }
        }
    }

    fn s3_at(&self, session: &Session, url: &str, region: &str, path_style: bool, bucket: &Bucket) -> S3 {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(session.credentials())
            .endpoint_url(url)
            .force_path_style(path_style)
            .http_client(self.http.clone())
            .interceptor(self.counted.clone())
            .region(Region::new(region.to_owned()))
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .disable_s3_express_session_auth(true)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .disable_clock_skew_correction(true);
        let config = match framework() {
            Some(framework) => config.framework_metadata(framework),
            None => config,
        };
        S3 { client: aws_sdk_s3::Client::from_conf(config.build()), bucket: bucket.to_string() }
    }
}

/// The answer to a request, or what AWS answered instead.
macro_rules! answered {
    ($request:expr) => {
        $request.send().await.map_err(|error| read::answer(&error))
    };
}

impl S3 {
    /// Whether the bucket is there.
    pub async fn head_bucket(&self) -> Result<(), Answer> {
        answered!(self.client.head_bucket().bucket(&self.bucket)).map(drop)
    }

    /// The region that the bucket is in.
    pub async fn bucket_location(&self) -> Result<String, Answer> {
        let location = answered!(self.client.get_bucket_location().bucket(&self.bucket))?.location_constraint;
        let location = location.map(|location| location.as_str().to_owned()).filter(|location| !location.is_empty());
        Ok(match location.as_deref() {
            None => "us-east-1".into(),
            Some("EU") => "eu-west-1".into(),
            Some(location) => location.into(),
        })
    }

    /// The uploads under a prefix that were begun and not ended.
    pub async fn list_uploads(&self, prefix: &str) -> Result<Vec<Found>, Answer> {
        let listed = answered!(self.client.list_multipart_uploads().bucket(&self.bucket).prefix(prefix))?;
        let found = |upload: &aws_sdk_s3::types::MultipartUpload| {
            Some(Found {
                key: upload.key.clone()?,
                upload_id: Some(upload.upload_id.clone()?),
                since: upload.initiated.map_or(i64::MAX, |at| at.secs()),
            })
        };
        Ok(listed.uploads().iter().filter_map(found).collect())
    }

    /// The objects under a prefix, up to a thousand.
    pub async fn list_objects(&self, prefix: &str) -> Result<Vec<Found>, Answer> {
        let listed = answered!(self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix))?;
        let found = |object: &aws_sdk_s3::types::Object| {
            let since = object.last_modified.map_or(i64::MAX, |at| at.secs());
            Some(Found { key: object.key.clone()?, upload_id: None, since })
        };
        Ok(listed.contents().iter().filter_map(found).collect())
    }

    /// Whether anything is under a prefix.
    pub async fn has_any(&self, prefix: &str) -> Result<bool, Answer> {
        let listed = answered!(self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(1))?;
        Ok(!listed.contents().is_empty())
    }

    /// Puts an object; says whether the bucket keeps versions.
    pub async fn put(&self, key: &str, body: Body, encryption: Encryption) -> Result<bool, Answer> {
        let request = self.client.put_object().bucket(&self.bucket).key(key);
        let request = request.body(ByteStream::from_static(body.bytes)).content_md5(body.md5);
        let request = request.set_server_side_encryption(encryption.header());
        answered!(request).map(|put| put.version_id.is_some_and(|version| version != "null"))
    }

    /// Looks at an object.
    pub async fn head(&self, key: &str) -> Result<(), Answer> {
        answered!(self.client.head_object().bucket(&self.bucket).key(key)).map(drop)
    }

    /// Reads an object, and no more of it than `limit` and a little.
    pub async fn get(&self, key: &str, limit: usize) -> Result<Vec<u8>, Answer> {
        // The SDK's deadline ends where the body begins.
        let whole = tokio::time::timeout(CALL_TIMEOUT, async {
            let mut got = answered!(self.client.get_object().bucket(&self.bucket).key(key))?;
            let mut body = Vec::new();
            while let Some(chunk) = got.body.next().await {
                // A body that breaks off is a connection that broke.
                body.extend_from_slice(&chunk.map_err(|_| Answer::NoConnection)?);
                if body.len() > limit {
                    break;
                }
            }
            Ok(body)
        });
        whole.await.unwrap_or(Err(Answer::TimedOut))
    }

    /// Begins an upload and says its id.
    pub async fn create_upload(&self, key: &str) -> Result<String, Answer> {
        let request = self.client.create_multipart_upload().bucket(&self.bucket).key(key);
        let created = answered!(request.set_server_side_encryption(Encryption::Aes256.header()))?;
        created.upload_id.ok_or(Answer::Status(200, None))
    }

    /// Uploads the only part of an upload and completes it.
    pub async fn complete_upload(&self, key: &str, upload_id: &str, body: Body) -> Result<(), Answer> {
        let part = self.client.upload_part().bucket(&self.bucket).key(key).upload_id(upload_id).part_number(1);
        let part = answered!(part.body(ByteStream::from_static(body.bytes)).content_md5(body.md5))?;
        let part = CompletedPart::builder().part_number(1).set_e_tag(part.e_tag).build();
        let parts = CompletedMultipartUpload::builder().parts(part).build();
        let complete = self.client.complete_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload_id);
        answered!(complete.multipart_upload(parts)).map(drop)
    }

    /// Ends an upload without its object.
    pub async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<(), Answer> {
        answered!(self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload_id)).map(drop)
    }

    /// Copies an object within the bucket.
    pub async fn copy(&self, from: &str, to: &str, encryption: Encryption) -> Result<(), Answer> {
        let source = format!("{}/{}", self.bucket, encoded(from));
        let request = self.client.copy_object().bucket(&self.bucket).key(to).copy_source(source);
        answered!(request.set_server_side_encryption(encryption.header())).map(drop)
    }

    /// Removes an object; that there is none is no failure.
    pub async fn delete(&self, key: &str) -> Result<(), Answer> {
        answered!(self.client.delete_object().bucket(&self.bucket).key(key)).map(drop)
    }
}

/// A key as `x-amz-copy-source` wants it.
fn encoded(key: &str) -> String {
    key.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}
