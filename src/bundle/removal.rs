//! The inverse edit: what we wrote is taken out, and the very text that stood there is put back. Every step changes one
//! thing and is proven before the next is made; what others wrote since stays.

use secrecy::ExposeSecret;

use super::cut::Cut;
use super::excerpt::Rewritten;
use super::layout::Layout;
use super::lists::{Expected, items};
use super::piece::Piece;
use super::refusal::Refusal;
use super::remembered::{Before, List, Remembered, Storage, names};
use super::storage::DRIVER;
use super::text::{Splice, value_range};
use super::tree::Pair;
use super::verify::{nothing_else_changed, reads_as};
use super::{Change, ConfigYaml, DEFAULTS, Edit, FoundEntry, PREFERENCE, STORAGE};

impl ConfigYaml {
    /// What to remember before a change is written: the raw text of what stands at its locations, in the two lists, and
    /// in place of a configuration without locations.
    pub fn remember(&self, change: &Change<'_>) -> Remembered {
        Remembered::of(self, change)
    }

    /// Puts back what was remembered. Other people's later edits stay: where they changed a list, only our names are
    /// taken out of it; an entry that is gone, or is no `STSS3Storage` any more, is left alone.
    ///
    /// What was remembered before several changes is put back one by one, the last first.
    pub fn restore(&self, remembered: &Remembered) -> Result<Edit, Refusal> {
        let plan = Plan::of(self, remembered);
        let lists = [(DEFAULTS, &remembered.defaults), (PREFERENCE, &remembered.preference)];
        let mut work = Work { first: self, current: None };
        // In the reverse order of an edit: what it put last at the end of the text goes first.
        for (key, before) in lists {
            if matches!(before, Before::Absent) {
                work.step(|document| plan.put_list(document, key, before))?;
            }
        }
        while work.step(|document| plan.take_location(document))? {}
        for (name, before) in &remembered.locations {
            if let Before::Present(piece) = before {
                work.step(|document| put_location(document, name, piece))?;
            }
        }
        for (key, before) in lists {
            work.step(|document| plan.put_list(document, key, before))?;
            while work.step(|document| plan.take_name(document, key, before))? {}
        }
        Ok(work.outcome())
    }
}

/// The document on its way back.
struct Work<'a> {
    first: &'a ConfigYaml,
    current: Option<ConfigYaml>,
}

impl Work<'_> {
    /// Makes one step; says whether it changed anything.
    fn step(&mut self, step: impl FnOnce(&ConfigYaml) -> Result<Edit, Refusal>) -> Result<bool, Refusal> {
        let Edit::Changed(text) = step(self.current.as_ref().unwrap_or(self.first))? else { return Ok(false) };
        self.current = Some(ConfigYaml::parse(text.expose_secret().as_bytes())?);
        Ok(true)
    }

    fn outcome(self) -> Edit {
        match self.current {
            Some(current) if current.text.expose_secret() != self.first.text.expose_secret() => {
                Edit::Changed(current.text)
            }
            _ => Edit::Unchanged,
        }
    }
}

/// What becomes of a list.
enum Verdict<'a> {
    /// It holds nothing of ours.
    Leave,
    /// There was none, and nobody else's names are in it.
    Remove,
    /// Nobody else changed it.
    PutBack(&'a List),
    /// The last of our names in it that was not there before.
    Take(usize),
}

/// What of the document is ours to take out.
struct Plan<'a> {
    remembered: &'a Remembered,
    /// Locations that did not stand, and that hold what we wrote.
    added: Vec<&'a str>,
    /// Names that the lists have from us, or had already when we came.
    ours: Vec<&'a str>,
}

impl<'a> Plan<'a> {
    fn of(document: &ConfigYaml, remembered: &'a Remembered) -> Self {
        let added: Vec<&str> = remembered
            .locations
            .iter()
            .filter(|(name, before)| matches!(before, Before::Absent) && ours(document, name).is_some())
            .map(|(name, _)| name.as_str())
            .collect();
        // A location that somebody else has put under our name since stays, and so does its name.
        let stays = |name: &String| {
            document.location(name).is_some() && !remembered.stood.contains(name) && !added.contains(&name.as_str())
        };
        let ours = remembered.ours.iter().filter(|name| !stays(name)).map(String::as_str).collect();
        Self { remembered, added, ours }
    }

    fn cut<'d>(&self, document: &'d ConfigYaml) -> Cut<'d> {
        Cut { document, last_break: self.remembered.last_break }
    }

    /// Takes one of our locations out, or the configuration with the last of them.
    fn take_location(&self, document: &ConfigYaml) -> Result<Edit, Refusal> {
        let is_added = |pair: &Pair| pair.key.text().is_some_and(|name| self.added.contains(&name));
        let locations = document.locations();
        let (Some(storage), Some(at)) = (document.root.get(STORAGE), locations.iter().rposition(is_added)) else {
            return Ok(Edit::Unchanged);
        };
        locations.iter().filter(|pair| is_added(pair)).try_for_each(guard)?;
        let nothing_else = |new: &Rewritten| {
            let is_gone = |name: &str| self.added.contains(&name) && new.document.location(name).is_none();
            nothing_else_changed(document, new, |_| false, is_gone)
        };
        if !locations.iter().all(is_added) {
            return self.cut(document).pair(&storage.value, at, nothing_else);
        }
        let is_empty = |new: &Rewritten| new.document.locations().is_empty() && nothing_else(new);
        match &self.remembered.storage {
            Before::Absent => self.take_key(document, STORAGE, nothing_else),
            Before::Present(Storage::Empty(piece)) => {
                put(document, storage, document.root.is_flow(), piece, |new| new.root.get(STORAGE), is_empty)
            }
            Before::Present(Storage::Filled) => {
                let range = value_range(document.body(), storage)?;
                document.finish(vec![Splice::replace(range, "{}".to_owned())], is_empty)
            }
        }
    }

    fn verdict<'d>(
        &self,
        document: &'d ConfigYaml,
        key: &str,
        before: &'d Before<List>,
    ) -> Result<(Verdict<'d>, Option<&'d Pair>), Refusal> {
        let pair = document.root.get(key);
        let found = pair.map(names).unwrap_or_default();
        let (Some(pair), true) = (pair, found.iter().any(|name| self.ours.contains(name))) else {
            return Ok((Verdict::Leave, None));
        };
        let of_others = |name: &&str| !self.ours.contains(name);
        let others: Vec<&str> = found.iter().copied().filter(of_others).collect();
        let had: Vec<&str> = match before {
            Before::Present(list) if list.piece.stands_at(document.body(), pair) => return Ok((Verdict::Leave, None)),
            Before::Present(list) => list.names.iter().map(String::as_str).collect(),
            Before::Absent => Vec::new(),
        };
        // From here on the list is to be changed.
        items(pair, key)?;
        let same_others = had.iter().copied().filter(of_others).eq(others.iter().copied());
        let verdict = match before {
            Before::Absent if others.is_empty() => Verdict::Remove,
            Before::Present(list) if same_others || (list.unknown && others.is_empty()) => Verdict::PutBack(list),
            _ => {
                let surplus = |name: &&str| self.ours.contains(name) && !had.contains(name);
                found.iter().rposition(surplus).map_or(Verdict::Leave, Verdict::Take)
            }
        };
        Ok((verdict, Some(pair)))
    }

    /// Brings a list that nobody else has changed back to what it was.
    fn put_list(&self, document: &ConfigYaml, key: &str, before: &Before<List>) -> Result<Edit, Refusal> {
        let nothing_else = |new: &Rewritten| nothing_else_changed(document, new, |other| other == key, |_| false);
        match self.verdict(document, key, before)? {
            (Verdict::Remove, _) => self.take_key(document, key, nothing_else),
            (Verdict::PutBack(list), Some(pair)) => {
                put(document, pair, document.root.is_flow(), &list.piece, |new| new.root.get(key), nothing_else)
            }
            _ => Ok(Edit::Unchanged),
        }
    }

    /// Takes one of our names out of a list that others have changed.
    fn take_name(&self, document: &ConfigYaml, key: &'static str, before: &Before<List>) -> Result<Edit, Refusal> {
        let (Verdict::Take(at), Some(pair)) = self.verdict(document, key, before)? else { return Ok(Edit::Unchanged) };
        let mut left: Vec<String> = names(pair).into_iter().map(str::to_owned).collect();
        left.remove(at);
        let expected = Expected { key, names: left };
        self.cut(document).item(pair, items(pair, key)?, at, |new| {
            reads_as(&new.document, &expected) && nothing_else_changed(document, new, |other| other == key, |_| false)
        })
    }

    /// Takes a key of the top level out.
    fn take_key(
        &self,
        document: &ConfigYaml,
        key: &str,
        nothing_else: impl Fn(&Rewritten) -> bool,
    ) -> Result<Edit, Refusal> {
        let root = &document.root;
        let is_meant = |new: &Rewritten| new.document.root.get(key).is_none() && nothing_else(new);
        let Some(at) = root.pairs().iter().position(|pair| pair.key.text() == Some(key)) else {
            return Ok(Edit::Unchanged);
        };
        if root.is_flow() && root.pairs().len() == 1 {
            let empty = self.remembered.empty_root.as_ref().map_or("{}", |raw| raw.text());
            let splice = Splice::replace((root.start, root.end), empty.to_owned());
            return document.finish(vec![splice], is_meant);
        }
        self.cut(document).pair(root, at, is_meant)
    }
}

/// Puts back an entry, if what stands is still ours.
fn put_location(document: &ConfigYaml, name: &str, piece: &Piece) -> Result<Edit, Refusal> {
    let (Some(storage), Some(pair)) = (document.root.get(STORAGE), ours(document, name)) else {
        return Ok(Edit::Unchanged);
    };
    if piece.stands_at(document.body(), pair) {
        return Ok(Edit::Unchanged);
    }
    guard(pair)?;
    let nothing_else = |new: &Rewritten| nothing_else_changed(document, new, |_| false, |other| other == name);
    put(document, pair, storage.value.is_flow(), piece, |new| new.location(name), nothing_else)
}

/// Puts a piece where a pair stands; afterwards the pair must read as the piece does on its own.
fn put(
    document: &ConfigYaml,
    pair: &Pair,
    in_braces: bool,
    piece: &Piece,
    find: impl Fn(&ConfigYaml) -> Option<&Pair>,
    nothing_else: impl Fn(&Rewritten) -> bool,
) -> Result<Edit, Refusal> {
    let newline = Layout::of(document.body(), &document.root, None).newline;
    let splices = piece.put_at(document.body(), pair, in_braces, newline);
    document.finish(splices, |new| {
        let as_it_did = piece
            .reading()
            .zip(find(&new.document))
            .is_some_and(|(wanted, found)| wanted.key.same(&found.key) && wanted.value.same(&found.value));
        as_it_did && nothing_else(new)
    })
}

/// The entry at a name, if its driver is the one that we write.
fn ours<'a>(document: &'a ConfigYaml, name: &str) -> Option<&'a Pair> {
    document.location(name).filter(|pair| FoundEntry::of(&pair.value).driver == DRIVER)
}

fn guard(pair: &Pair) -> Result<(), Refusal> {
    pair.key.guard_all()?;
    pair.value.guard_all()
}
