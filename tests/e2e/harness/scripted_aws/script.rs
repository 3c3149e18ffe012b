//! What a test says that AWS answers, and what it is told of what was asked.

use std::time::Duration;

use super::http::Http;

/// What an operation is answered instead of success.
#[derive(Clone)]
pub(crate) enum Reply {
    /// These very bytes.
    Says(Http),
    /// A success up to this text, as if it were all.
    CutShort(&'static str),
    /// The first half of a success, of which the rest never comes: the connection is closed.
    BrokenOff,
    /// The first half of a success, and then nothing.
    Stuck,
    /// A success of which the second half takes a while.
    Slow(Duration),
    /// The connection is closed.
    Closed,
    /// The connection is reset.
    Reset,
    /// Nothing, for as long as the client waits.
    Never,
}

/// What an account's operation is answered.
#[derive(Clone)]
pub(crate) struct Rule {
    operation: &'static str,
    only: fn(&Asked) -> bool,
    pub(super) done: bool,
    pub(super) reply: Reply,
}

impl Rule {
    /// Of an operation, by AWS's own name; `S3` stands for all of S3's.
    pub(crate) fn on(operation: &'static str, reply: Reply) -> Self {
        Self { operation, only: |_| true, done: false, reply }
    }

    /// As AWS answers with an error.
    pub(crate) fn says(operation: &'static str, answer: Http) -> Self {
        Self::on(operation, Reply::Says(answer))
    }

    /// Only such requests.
    pub(crate) fn only(self, only: fn(&Asked) -> bool) -> Self {
        Self { only, ..self }
    }

    /// What was asked is done all the same.
    pub(crate) fn done(self) -> Self {
        Self { done: true, ..self }
    }

    pub(super) fn is_of(&self, asked: &Asked) -> bool {
        let s3 = self.operation == "S3" && asked.is_s3;
        (s3 || self.operation == asked.operation) && (self.only)(asked)
    }
}

/// A request that came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Whose: its bucket.
    pub(super) account: String,
    pub(super) is_s3: bool,
    pub(crate) operation: &'static str,
    pub(crate) key: String,
    /// The region that it is signed for.
    pub(crate) region: String,
    /// The region that the request for its credentials was signed for.
    pub(crate) session_region: String,
    /// Whether it asks for AES256.
    pub(crate) encrypted: bool,
    /// How many objects and uploads the bucket had when it came.
    pub(crate) stored: usize,
}
