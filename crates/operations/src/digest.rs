//! What tells one packaged release from another: a digest over every file, link and folder of it. Nothing may change the folder meanwhile; a
//! release cannot change its own, and what packages it has ended.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use sha2::{Digest, Sha256};

/// `sha256:` and 64 digits over the tree beneath `folder`: names, kinds, permissions, contents and where links lead. Links are not followed.
///
/// # Errors
/// A file that cannot be read, or something that is neither file, folder nor link, which no release needs.
pub fn digest(folder: &Path) -> io::Result<String> {
    let mut sum = Sha256::new();
    add(&mut sum, folder)?;
    Ok(format!("sha256:{}", hex::encode(sum.finalize())))
}

fn add(sum: &mut Sha256, folder: &Path) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let found = fs::symlink_metadata(&path)?;
        let kind = found.file_type();
        // Lengths stand before what is of any length, so that no two trees give the same bytes.
        let mut head = |kind: u8, length: u64| {
            let name = entry.file_name();
            sum.update([kind]);
            sum.update((name.len() as u64).to_le_bytes());
            sum.update(name.as_bytes());
            sum.update((found.mode() & 0o7777).to_le_bytes());
            sum.update(length.to_le_bytes());
        };
        if kind.is_symlink() {
            let target = fs::read_link(&path)?;
            head(b'l', target.as_os_str().len() as u64);
            sum.update(target.as_os_str().as_bytes());
        } else if kind.is_file() {
            head(b'f', found.len());
            let read = io::copy(&mut fs::File::open(&path)?, sum)?;
            if read != found.len() {
                return Err(io::Error::other(format!("{} changed while it was read", path.display())));
            }
        } else if kind.is_dir() {
            head(b'd', 0);
            add(sum, &path)?;
            sum.update(b"end");
        } else {
            return Err(io::Error::other(format!("{} is neither a file, a folder nor a link", path.display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("a")).expect("a folder");
        fs::write(folder.path().join("a/one"), "1").expect("a file");
        symlink("one", folder.path().join("a/link")).expect("a link");
        folder
    }

    #[test]
    fn trees_that_are_equal_have_one_digest_and_every_change_gives_another() {
        let (one, two) = (tree(), tree());
        let of = |tree: &tempfile::TempDir| digest(tree.path()).expect("it can be read");
        assert_eq!(of(&one), of(&two));
        type Change = fn(&Path) -> io::Result<()>;
        let changes: [(&str, Change); 6] = [
            ("another text", |path| fs::write(path.join("a/one"), "2")),
            ("another name", |path| fs::rename(path.join("a/one"), path.join("a/two"))),
            ("another mode", |path| fs::set_permissions(path.join("a/one"), fs::Permissions::from_mode(0o755))),
            ("another target", |path| fs::remove_file(path.join("a/link")).and_then(|()| symlink("two", path.join("a/link")))),
            ("another folder", |path| fs::create_dir(path.join("b"))),
            ("another place", |path| fs::rename(path.join("a/one"), path.join("one"))),
        ];
        for (what, change) in changes {
            let changed = tree();
            change(changed.path()).expect("it can be changed");
            assert_ne!(of(&changed), of(&one), "{what}");
        }
    }
}
