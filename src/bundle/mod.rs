//! Quay's `config.yaml`, text in, text out: what stands at `DISTRIBUTED_STORAGE_CONFIG`, and an edit that changes what
//! is ours and no other byte. Three programs read the file, each by rules of its own (`PyYAML` in Quay, yaml.v3 in
//! config-tool, yaml.v2 in the Quay operator); a document that they would not read alike is refused, never guessed at.

mod arguments;
mod carry;
mod cut;
mod diff;
mod digest;
mod draft;
mod excerpt;
mod layout;
mod lists;
mod locations;
mod mask;
mod piece;
mod reader;
mod reading;
mod refusal;
mod remembered;
mod removal;
mod rendered;
mod screen;
mod standing;
mod storage;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod verify;

use secrecy::{ExposeSecret, SecretString};

pub use carry::CarriedEntry;
pub use refusal::{Problem, Refusal};
pub use remembered::Remembered;
pub use rendered::has_same_storage;
pub use standing::{StandingArguments, StandingDriver, StandingEntry};
pub use storage::{FoundEntry, RoleKey, SignatureVersion, StorageEntry};

use crate::place::LocationName;
use carry::Entry;
use draft::Draft;
use excerpt::Rewritten;
use reading::Reading;
use text::Splice;
use tree::{Kind, Node, Pair};

const STORAGE: &str = "DISTRIBUTED_STORAGE_CONFIG";
const PREFERENCE: &str = "DISTRIBUTED_STORAGE_PREFERENCE";
const DEFAULTS: &str = "DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS";
/// The keys that are ours.
const OURS: [&str; 3] = [STORAGE, PREFERENCE, DEFAULTS];

/// Which of the keys that are ours a document sets at its top level, if any; where that cannot be told, which it names.
pub fn key_of_ours(bytes: &[u8]) -> Option<&'static str> {
    let names = |key: &str| bytes.windows(key.len()).any(|window| window == key.as_bytes());
    let document = ConfigYaml::parse(bytes);
    OURS.into_iter().find(|key| match &document {
        Ok(document) => document.root.get(key).is_some(),
        Err(_) => names(key),
    })
}

/// Whether a key may be named to the user: one of Quay's storage keys, or an argument of the driver.
fn is_our_key(key: &str) -> bool {
    OURS.contains(&key) || storage::ARGUMENTS.contains(&key)
}

/// Where our locations shall stand in `DISTRIBUTED_STORAGE_PREFERENCE`. Quay pushes to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// Wherever they stand; those that are missing are appended.
    Keep,
    /// Before all others, in spec order.
    First,
    /// After all others, in spec order.
    Last,
}

/// What shall be written.
pub struct Change<'a> {
    /// The entries to write now.
    pub entries: &'a [&'a StorageEntry],
    /// All our locations in spec order. The lists name those of them that the document has after the edit.
    pub ours: &'a [LocationName],
    /// Where our locations stand in the preference.
    pub preference: Preference,
    /// Whether every blob shall be replicated to our locations (`DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS`).
    pub replicate: bool,
}

/// What an edit comes to.
pub enum Edit {
    /// The document already says what is wanted.
    Unchanged,
    /// The whole new text.
    Changed(SecretString),
}

/// A parsed `config.yaml`. It holds the registry's secrets: it is wiped when dropped and cannot be printed.
pub struct ConfigYaml {
    text: SecretString,
    /// Length of the byte order mark; positions of nodes count from after it.
    mark: usize,
    root: Node,
    /// What the second parser reads.
    reading: Reading,
    /// Whether there is an alias in it.
    aliases: bool,
}

impl ConfigYaml {
    /// Reads a document, and refuses one that cannot be edited with certainty.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
        let body = screen::characters(text)?;
        let tree = reader::read(body)?;
        screen::between_scalars(body, &tree.opaque)?;
        let (root, aliases) = (tree.root, tree.aliases);
        if root.is_null() {
            return Err(Refusal::whole(Problem::Empty));
        }
        root.guard()?;
        if !matches!(root.kind, Kind::Map { .. }) {
            return Err(root.refuse(Problem::NotAMapping));
        }
        for key in OURS {
            if let Some(pair) = root.get(key) {
                pair.key.guard()?;
            }
        }
        if let Some(Pair { value, .. }) = root.get(STORAGE) {
            value.guard()?;
            if !value.is_null() && !matches!(value.kind, Kind::Map { .. }) {
                let problem = Problem::WrongKind { key: STORAGE.to_owned(), expected: "a mapping of locations" };
                return Err(value.refuse(problem));
            }
        }
        let reading = Reading::of(body, &root)?;
        let mark = text.len() - body.len();
        Ok(Self { text: SecretString::from(text.to_owned()), mark, root, reading, aliases })
    }

    /// What stands at a location's name; nothing does where the value is missing or null. An entry in a form that
    /// [`ConfigYaml::edit`] refuses has no place.
    pub fn entry(&self, name: &LocationName) -> Option<FoundEntry> {
        let found = self.location(name.as_str()).filter(|pair| !pair.value.is_null());
        found.map(|pair| FoundEntry::of(&pair.value))
    }

    /// Whether the entry of a name is of the driver that we write.
    pub fn has_sts(&self, name: &str) -> bool {
        self.location(name).is_some_and(|pair| FoundEntry::of(&pair.value).driver == storage::DRIVER)
    }

    /// The digest of the entry of a name, if it is one of the driver that we write and says the same to all readers.
    pub fn digest(&self, name: &str) -> Option<String> {
        match self.standing_at(name)?.driver {
            StandingDriver::Sts(arguments) => Some(arguments.digest()),
            StandingDriver::StaticKeys(_) | StandingDriver::Other(_) | StandingDriver::Unclear(_) => None,
        }
    }

    /// The id of the access key that the entry of a name has, if one can be read there.
    pub fn access_key_id(&self, name: &LocationName) -> Option<&str> {
        let Kind::List { items, .. } = &self.location(name.as_str())?.value.kind else { return None };
        items.get(1)?.get("sts_user_access_key")?.value.string()
    }

    /// Whether all three readers already read the document's entry of this name as the intent.
    pub fn is_current(&self, entry: &StorageEntry) -> bool {
        self.location(entry.name.as_str()).is_some_and(|pair| entry.is_read_at(pair))
    }

    /// The text with the change made, every other byte as it was.
    pub fn edit(&self, change: &Change<'_>) -> Result<Edit, Refusal> {
        let mut draft = Draft::of(self);
        let entries: Vec<Entry<'_>> = change.entries.iter().map(|entry| Entry::Meant(entry)).collect();
        locations::splice(&mut draft, &entries)?;
        let expected = lists::splice(&mut draft, change, self.locations())?;
        draft.add_top_level()?;
        let is_meant = |new: &Rewritten| verify::is_the_intent(self, new, change, &expected);
        match draft.with_open_end() {
            Some(splices) => self.finish(splices, is_meant).or_else(|_| self.finish(draft.splices, is_meant)),
            None => self.finish(draft.splices, is_meant),
        }
    }

    /// Makes the splices, reads anew what has changed, and hands the new text out only if it is proven to be what was
    /// meant: by an excerpt of it where that is as good as the whole.
    fn finish(&self, mut splices: Vec<Splice>, is_meant: impl Fn(&Rewritten) -> bool) -> Result<Edit, Refusal> {
        if splices.is_empty() {
            return Ok(Edit::Unchanged);
        }
        let unsure = || match text::open_end(self.body(), &self.root) {
            Some(block) => block.refuse(Problem::NoFinalNewline),
            None => Refusal::whole(Problem::CannotVerify),
        };
        splices.sort_by_key(|splice| (splice.start, splice.end));
        let (mark, body) = self.text.expose_secret().split_at_checked(self.mark).ok_or_else(unsure)?;
        let mut new = mark.to_owned();
        text::apply(body, (0, body.len()), &splices, &mut new).ok_or_else(unsure)?;
        let new = SecretString::from(new);
        let new_body = new.expose_secret().get(self.mark..).unwrap_or_default();
        let is_proven = text::only_spliced(body, &splices, new_body)
            && (Rewritten::excerpt(self, &splices).is_some_and(|excerpt| is_meant(&excerpt))
                || Rewritten::whole(new_body).is_some_and(|whole| is_meant(&whole)));
        if is_proven { Ok(Edit::Changed(new)) } else { Err(unsure()) }
    }

    fn body(&self) -> &str {
        self.text.expose_secret().get(self.mark..).unwrap_or_default()
    }

    fn locations(&self) -> &[Pair] {
        self.root.get(STORAGE).map(|pair| pair.value.pairs()).unwrap_or_default()
    }

    /// The pairs of the top level, and what the second parser reads there.
    fn keys(&self) -> impl Iterator<Item = (&Pair, &[u8])> {
        self.root.pairs().iter().zip(self.reading.pairs())
    }

    /// The locations, and what the second parser reads there.
    fn locations_as_read(&self) -> impl Iterator<Item = (&Pair, &[u8])> {
        self.locations().iter().zip(self.reading.locations())
    }

    fn location(&self, name: &str) -> Option<&Pair> {
        self.root.get(STORAGE).and_then(|storage| storage.value.get(name))
    }
}

fn not_utf8(bytes: &[u8], valid_up_to: usize) -> Refusal {
    let before = String::from_utf8_lossy(bytes.get(..valid_up_to).unwrap_or_default());
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    Refusal::at(line, column, Problem::NotUtf8)
}
