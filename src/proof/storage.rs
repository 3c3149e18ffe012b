//! What Quay does on S3, done with the role: each step once, side by side where the order does not matter, and nothing
//! left behind.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::aws::s3::{Body, Encryption, Found, S3};
use crate::fingerprint::hex;
use crate::target::Target;
use crate::verdict::advice::Circumstances;
use crate::verdict::{Answer, Refused, Step};

/// What stands in the objects that are put, and its MD5: buckets with a default retention demand it, and Quay sends it.
const BODY: Body = Body {
    bytes: b"registry-sts tries here what Quay will do. It removes this object.\n",
    md5: "b7QggNZWhbZdukd1kVzBhw==",
};
/// Where they are put, below what Quay puts before every key.
pub(super) const FOLDER: &str = ".registry-sts/";
/// What another proof has left is removed once it is this old, in seconds: no proof takes that long.
const LEFTOVER_AGE: i64 = 60 * 60;

/// What changes something has this long together, so that a proof takes no more than a minute: the role, what is
/// looked at, and what is removed have ten seconds each.
const CHANGES_LIMIT: Duration = Duration::from_secs(20);
/// The steps that change something.
const CHANGES: [Step; 5] = [Step::PutObject, Step::HeadPresent, Step::GetObject, Step::CopyObject, Step::Multipart];

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Everything that Quay does.
    Full,
    /// What can be seen without changing anything.
    ReadOnly,
}

/// What came of a step.
pub(super) enum Attempt {
    Answered(Result<(), Answer>, Circumstances),
    NotTried(&'static str),
}

/// A storage that is tried.
pub(super) struct Trial<'a> {
    s3: &'a S3,
    root: String,
    folder: String,
    circumstances: Circumstances,
    attempts: Mutex<Vec<(Step, Attempt)>>,
}

/// What was tried, and whether the bucket keeps versions.
pub(super) struct Tried {
    pub(super) attempts: Vec<(Step, Attempt)>,
    pub(super) keeps_versions: bool,
}

impl<'a> Trial<'a> {
    /// A trial in a folder of its own: `id` tells it from other trials at the same place.
    pub(super) fn new(s3: &'a S3, target: &Target, id: &[u8], circumstances: Circumstances) -> Self {
        let root = format!("{}{FOLDER}", target.prefix());
        let folder = format!("{root}{}/", hex(id.get(..8).unwrap_or(id)));
        Self { s3, root, folder, circumstances, attempts: Mutex::default() }
    }

    fn note(&self, step: Step, answer: Result<(), Answer>) -> bool {
        self.note_with(step, answer, self.circumstances)
    }

    fn note_with(&self, step: Step, answer: Result<(), Answer>, circumstances: Circumstances) -> bool {
        let passed = answer.is_ok();
        let attempt = Attempt::Answered(answer, circumstances);
        self.lock().push((step, attempt));
        passed
    }

    fn skip(&self, steps: &[Step], why: &'static str) {
        let skipped = steps.iter().map(|step| (*step, Attempt::NotTried(why)));
        self.lock().extend(skipped);
    }

    fn tried(self, keeps_versions: bool) -> Tried {
        let mut attempts = self.attempts.into_inner().unwrap_or_else(PoisonError::into_inner);
        explain_heads(&mut attempts);
        Tried { attempts, keeps_versions }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }

    /// The keys of what this trial puts and leaves there until it removes it.
    fn puts(&self) -> [String; 3] {
        ["object", "copy", "upload"].map(|name| self.key(name))
    }

    /// What can be seen without changing anything.
    pub(super) async fn look(self) -> Tried {
        tokio::join!(self.head_bucket(), self.list_objects(), self.head_missing());
        self.tried(false)
    }

    /// Everything that Quay does. What may be removed is tried first: nothing is put that could not be removed again.
    pub(super) async fn all(self) -> Tried {
        let (found, uploads, objects, _, may_delete, may_abort) = tokio::join!(
            self.head_bucket(),
            self.list_uploads(),
            self.list_objects(),
            self.head_missing(),
            async { self.s3.delete(&self.key("missing")).await },
            self.may_abort(),
        );
        let mut keeps_versions = false;
        let deletable = may_delete.is_ok();
        let may_change = found && deletable;
        if may_change {
            let changes = async { tokio::join!(self.objects(), self.uploads(may_abort)) };
            match tokio::time::timeout(CHANGES_LIMIT, Box::pin(changes)).await {
                Ok((versions, ())) => keeps_versions = versions,
                Err(_) => self.note_unanswered(&CHANGES),
            }
        } else {
            let why = if found { "nothing is put that could not be removed" } else { "the bucket was not found" };
            self.skip(&CHANGES, why);
        }
        let (mut keys, mut left) = self.leftovers(&objects, &uploads);
        if may_change {
            keys.extend(self.puts());
        }
        if self.may_have_begun_an_upload() {
            let begun = self.s3.list_uploads(&self.folder).await.unwrap_or_default();
            left.extend(begun.into_iter().filter_map(|upload| Some((upload.key, upload.upload_id?))));
        }
        let aborts = left.iter().map(|(key, upload)| self.s3.abort_upload(key, upload));
        // An upload that is gone by now is as good as aborted; one that stays is tried again by the next proof.
        let (removed, _) = tokio::join!(
            async { if deletable { self.remove(&keys).await } else { Ok(()) } },
            futures::future::join_all(aborts)
        );
        self.note(Step::DeleteObject, may_delete.and(removed));
        self.tried(keeps_versions)
    }

    fn note_unanswered(&self, steps: &[Step]) {
        let known: Vec<Step> = self.lock().iter().map(|(step, _)| *step).collect();
        for step in steps.iter().filter(|step| !known.contains(step)) {
            self.note(*step, Err(Answer::TimedOut));
        }
    }

    /// Whether an upload may have been begun though it was answered with an error of the server's, or not at all.
    fn may_have_begun_an_upload(&self) -> bool {
        let uploads = [Step::Multipart, Step::AbortUpload];
        self.lock().iter().any(|(step, attempt)| {
            let failed = matches!(attempt, Attempt::Answered(answer, _) if answer.is_err() && !is_denied(answer));
            failed && uploads.contains(step)
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Step, Attempt)>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn head_bucket(&self) -> bool {
        self.note(Step::HeadBucket, self.s3.head_bucket().await)
    }

    async fn list_uploads(&self) -> Vec<Found> {
        self.listed(Step::ListUploads, self.s3.list_uploads(&self.root).await)
    }

    async fn list_objects(&self) -> Vec<Found> {
        self.listed(Step::ListObjects, self.s3.list_objects(&self.root).await)
    }

    fn listed(&self, step: Step, answer: Result<Vec<Found>, Answer>) -> Vec<Found> {
        let (answer, found) = match answer {
            Ok(found) => (Ok(()), found),
            Err(answer) => (Err(answer), Vec::new()),
        };
        self.note(step, answer);
        found
    }

    async fn head_missing(&self) -> bool {
        let answer = match self.s3.head(&self.key("missing")).await {
            Err(Answer::Status(404, _)) => Ok(()),
            Err(Answer::Refused(refused)) if matches!(refused.code.as_str(), "NoSuchKey" | "NotFound") => Ok(()),
            // It must not be there: nobody but this folder's owner writes here.
            Ok(()) => Err(Answer::Status(200, None)),
            Err(answer) => Err(answer),
        };
        self.note(Step::HeadMissing, answer)
    }

    /// Whether an upload may be aborted: one that is not there is answered with `NoSuchUpload`, if it may.
    async fn may_abort(&self) -> bool {
        let answer = match self.s3.abort_upload(&self.key("missing"), "registry-sts").await {
            Err(Answer::Status(404, _)) => Ok(()),
            Err(Answer::Refused(refused)) if matches!(refused.code.as_str(), "NoSuchUpload" | "NoSuchKey") => Ok(()),
            other => other,
        };
        self.note(Step::AbortUpload, answer)
    }

    /// Puts an object, looks at it, reads it, copies it; says whether the bucket keeps versions.
    async fn objects(&self) -> bool {
        let (object, copy) = (self.key("object"), self.key("copy"));
        let put = self.s3.put(&object, BODY, Encryption::Aes256).await;
        let keeps_versions = matches!(put, Ok(true));
        let encryption = is_denied(&put) && self.s3.put(&object, BODY, Encryption::Default).await.is_ok();
        let circumstances = Circumstances { encryption, ..self.circumstances };
        if !self.note_with(Step::PutObject, put.map(drop), circumstances) {
            let needed = [Step::HeadPresent, Step::GetObject, Step::CopyObject];
            self.skip(&needed, "there is no object to try it on");
            return keeps_versions;
        }
        tokio::join!(
            async { self.note(Step::HeadPresent, self.s3.head(&object).await) },
            async {
                self.note(Step::GetObject, self.s3.get(&object, BODY.bytes.len()).await.and_then(|body| as_put(&body)))
            },
            async {
                let copied = self.s3.copy(&object, &copy, Encryption::Default).await;
                let encryption = is_denied(&copied) && self.s3.copy(&object, &copy, Encryption::Aes256).await.is_ok();
                let circumstances = Circumstances { encryption, ..self.circumstances };
                // Only what was copied is encrypted as the bucket does by default, and has to be read so.
                let read = match copied {
                    Ok(()) => self.s3.get(&copy, BODY.bytes.len()).await.and_then(|body| as_put(&body)),
                    denied => denied,
                };
                self.note_with(Step::CopyObject, read, circumstances);
            },
        );
        keeps_versions
    }

    /// An upload that is completed, and one that is aborted.
    async fn uploads(&self, may_abort: bool) {
        if !may_abort {
            self.skip(&[Step::Multipart], "no upload is begun that could not be aborted");
            return;
        }
        let (completed, aborted) = (self.key("upload"), self.key("aborted"));
        let complete = async {
            let upload = self.s3.create_upload(&completed).await?;
            let done = self.s3.complete_upload(&completed, &upload, BODY).await;
            if done.is_err() {
                let _ = self.s3.abort_upload(&completed, &upload).await;
            }
            done
        };
        let abort = async {
            let upload = match self.s3.create_upload(&aborted).await {
                Ok(upload) => upload,
                // That it may not be begun is the other one's failure.
                denied if is_denied(&denied) => return Ok(()),
                Err(answer) => return Err(answer),
            };
            self.s3.abort_upload(&aborted, &upload).await
        };
        let (done, ended) = tokio::join!(complete, abort);
        self.note(Step::Multipart, done);
        if ended.is_err() {
            self.note(Step::AbortUpload, ended);
        }
    }

    /// What is to be removed though this trial did not put it: what is in its folder, and what others left long ago.
    fn leftovers(&self, objects: &[Found], uploads: &[Found]) -> (Vec<String>, Vec<(String, String)>) {
        let long_ago = jiff::Timestamp::now().as_second() - LEFTOVER_AGE;
        let is_left = |found: &&Found| found.key.starts_with(&self.folder) || found.since < long_ago;
        let puts = self.puts();
        let keys = objects.iter().filter(is_left).map(|found| found.key.clone()).filter(|key| !puts.contains(key));
        let ids =
            uploads.iter().filter(is_left).filter_map(|found| Some((found.key.clone(), found.upload_id.clone()?)));
        (keys.collect(), ids.collect())
    }

    async fn remove(&self, keys: &[String]) -> Result<(), Answer> {
        futures::future::join_all(keys.iter().map(|key| self.s3.delete(key))).await.into_iter().collect()
    }
}

/// What is asked by HEAD, and what needs the same permission and is answered with a body.
const SAME_PERMISSION: [(Step, Step); 3] = [
    (Step::HeadBucket, Step::ListObjects),
    (Step::HeadMissing, Step::ListObjects),
    (Step::HeadPresent, Step::GetObject),
];

/// An answer to HEAD has no code: the one of the same status to what needs the same permission says it.
fn explain_heads(attempts: &mut [(Step, Attempt)]) {
    for (head, told_by) in SAME_PERMISSION {
        let told = attempts.iter().find_map(|(step, attempt)| match attempt {
            Attempt::Answered(Err(Answer::Refused(refused)), _) if *step == told_by => Some(refused.clone()),
            _ => None,
        });
        let Some(told) = told else { continue };
        for (step, attempt) in attempts.iter_mut() {
            if let Attempt::Answered(Err(answer), _) = attempt
                && *step == head
                && let Answer::Status(status, region) = answer
                && *status == told.status
            {
                let region = told.region.clone().or(region.take());
                *answer = Answer::Refused(Refused { region, ..told.clone() });
            }
        }
    }
}

/// Whether an object reads as it was put.
fn as_put(body: &[u8]) -> Result<(), Answer> {
    if body == BODY.bytes { Ok(()) } else { Err(Answer::Status(200, None)) }
}

fn is_denied<T>(answer: &Result<T, Answer>) -> bool {
    match answer {
        Err(Answer::Refused(refused)) => refused.code == "AccessDenied",
        Err(Answer::Status(status, _)) => *status == 403,
        _ => false,
    }
}
