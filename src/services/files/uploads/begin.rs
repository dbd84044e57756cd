//! How an upload begins: what there is of it, what gives way to it, and whether there is room.

use std::fs::File;

use rustix::io::Errno;

use super::super::refusal::Refusal;
use super::folder::{Found, Turn};
use super::partial::{Partial, key_of, owner_of};
use super::{Upload, Uploads, Wanted, check_rights, check_target};

/// What an upload would find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prospect {
    /// See [`Upload::kept`].
    pub kept: u64,
    /// See [`Upload::most`].
    pub most: u64,
}

/// What is to become of the partials when an upload begins.
struct Survey {
    /// The upload's own, if none is gone on with.
    wish: Partial,
    /// Others of the same owner, which give way.
    gone: Vec<Partial>,
    /// Of the same name, and of no more use.
    old: Vec<Partial>,
    /// Goes on, with so many bytes of it.
    resumed: Option<(u64, Partial)>,
}

impl Uploads {
    /// Begins an upload, or goes on with one.
    ///
    /// # Errors
    /// Why not: the name is taken or in use, the file is too large, there is no room, ...
    pub fn begin(&self, wanted: &Wanted<'_>) -> Result<Upload, Refusal> {
        let turn = self.folder.turn()?;
        let Survey {
            wish,
            gone,
            old,
            resumed,
        } = self.survey(wanted, &turn)?;
        for partial in gone.iter().chain(&old) {
            self.folder.remove(&partial.to_string())?;
        }
        let kept = resumed.as_ref().map_or(0, |(kept, _)| *kept);
        let (file, partial) = match resumed {
            Some((kept, partial)) => self.resume(&partial, kept)?,
            None => (self.folder.create(&wish).map_err(in_use)?, wish),
        };
        Ok(Upload {
            file,
            kept,
            most: self.most(wanted),
            name: wanted.name.clone(),
            replace: wanted.replace,
            partial,
        })
    }

    /// What [`Uploads::begin`] would find just now. Nothing is made, changed or held: for a client
    /// that has not shown yet that it is there.
    ///
    /// # Errors
    /// As [`Uploads::begin`].
    pub fn look(&self, wanted: &Wanted<'_>) -> Result<Prospect, Refusal> {
        let turn = self.folder.turn()?;
        let survey = self.survey(wanted, &turn)?;
        Ok(Prospect {
            kept: survey.resumed.map_or(0, |(kept, _)| kept),
            most: self.most(wanted),
        })
    }

    fn most(&self, wanted: &Wanted<'_>) -> u64 {
        wanted.size.unwrap_or_else(|| self.limits.most())
    }

    /// Whether an upload may begin, and what would become of the partials that are there.
    fn survey(&self, wanted: &Wanted<'_>, turn: &Turn) -> Result<Survey, Refusal> {
        let (parent, last) = self.parent(wanted.name)?;
        check_target(&parent, last, wanted.replace)?;
        check_rights(&parent)?;
        let mut found = self.folder.found(turn)?;
        let wish = Partial {
            key: key_of(wanted.name),
            owner: owner_of(wanted.owner),
            size: wanted.size,
            synced: 0,
            boot: self.boot.clone(),
        };
        let gone = self.own_room(&mut found, &wish);
        let ours = || found.iter().filter(|found| found.partial.key == wish.key);
        if ours().any(|found| found.runs) {
            return Err(Refusal::Uploading);
        }
        let same =
            |found: &&Found| found.partial.owner == wish.owner && found.partial.size == wish.size;
        let kept = |found: &Found| {
            let sure = found.partial.sure(found.length, &self.boot);
            sure.min(wanted.offset)
        };
        let sure = ours().filter(same).map(|found| (kept(found), found));
        let resumed = sure.max_by_key(|(kept, _)| *kept);
        let resumed = resumed.filter(|(kept, _)| *kept > 0);
        let have = resumed.map_or(0, |(kept, _)| kept);
        let mut room = self.folder.room(&found, &wish.key)?;
        for left in &gone {
            room.free = room.free.saturating_add(left.length);
        }
        room.check(&self.limits, have, wanted.size)?;
        let old = ours().map(|found| &found.partial);
        let old = old.filter(|old| resumed.is_none_or(|(_, kept)| kept.partial != **old));
        Ok(Survey {
            old: old.cloned().collect(),
            resumed: resumed.map(|(kept, found)| (kept, found.partial.clone())),
            gone: gone.into_iter().map(|left| left.partial).collect(),
            wish,
        })
    }

    /// Takes up a partial of which `kept` bytes are wanted.
    fn resume(&self, old: &Partial, kept: u64) -> Result<(File, Partial), Refusal> {
        let file = self.folder.reopen(old).map_err(in_use)?;
        // In this order: a file that is shorter than its name says promises nothing wrong.
        file.set_len(kept)?;
        let new = Partial {
            synced: old.synced.min(kept),
            boot: self.boot.clone(),
            ..old.clone()
        };
        self.folder.describe(old, &new)?;
        if new.synced < old.synced {
            // What comes now is not synced; the name on the disk must not say that it is.
            self.folder.sync()?;
        }
        Ok((file, new))
    }
}

/// Somebody else made or locked the file since we looked: another server, which takes no turns.
fn in_use(errno: Errno) -> Refusal {
    match errno {
        Errno::EXIST | Errno::WOULDBLOCK => Refusal::Uploading,
        other => other.into(),
    }
}
