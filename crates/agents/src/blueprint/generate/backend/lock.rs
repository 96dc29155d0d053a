//! The pinned packages of a project: out of all that the blueprint was tried with, those that this project needs, each with its hashes.
//! It must not know templates.

use std::collections::{BTreeMap, BTreeSet};

/// A package of a lock file in the format of pip.
struct Package<'lock> {
    /// `fastapi==1.2.3 ; marker \`, the hashes, without comments
    lines: Vec<&'lock str>,
    /// Packages that need it; the empty name when somebody asked for it by itself.
    needed_by: Vec<&'lock str>,
}

/// Packages that others name as extras: they come only when they are wanted by themselves.
const EXTRAS: [&str; 3] = ["cryptography", "email-validator", "psycopg-binary"];

/// The part of a lock that `wanted` and what they need make up, in the order of names.
pub fn select(lock: &str, wanted: &[&str], without: &BTreeSet<String>) -> String {
    let packages = read(lock);
    let mut chosen: BTreeSet<&str> = wanted.iter().copied().collect();
    loop {
        let more: Vec<&str> = packages
            .iter()
            .filter(|(name, package)| {
                !chosen.contains(*name) && !EXTRAS.contains(*name) && package.needed_by.iter().any(|user| chosen.contains(user))
            })
            .map(|(name, _)| *name)
            .collect();
        if more.is_empty() {
            break;
        }
        chosen.extend(more);
    }
    let mut out = String::new();
    for (name, package) in &packages {
        if chosen.contains(name) && !without.contains(*name) {
            for line in &package.lines {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

/// The names of the packages in a lock.
pub fn names(lock: &str) -> BTreeSet<String> {
    read(lock).into_keys().map(str::to_owned).collect()
}

fn read(lock: &str) -> BTreeMap<&str, Package<'_>> {
    let mut packages: BTreeMap<&str, Package<'_>> = BTreeMap::new();
    let mut current = "";
    for line in lock.lines() {
        if let Some((name, _)) = line.split_once("==")
            && !line.starts_with([' ', '#'])
        {
            current = name.split('[').next().unwrap_or(name);
            packages.insert(current, Package { lines: vec![line], needed_by: Vec::new() });
            continue;
        }
        let Some(package) = packages.get_mut(current) else { continue };
        let text = line.trim();
        match text.strip_prefix('#') {
            None => package.lines.push(line),
            Some(comment) => {
                let comment = comment.trim();
                let user = comment.strip_prefix("via").map_or(comment, str::trim);
                if !user.is_empty() && !user.starts_with('-') {
                    package.needed_by.push(user);
                }
            }
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "\
a==1 \\
    --hash=sha256:00
    # via -r full.in
b==2 ; sys_platform == 'win32' \\
    --hash=sha256:11 \\
    --hash=sha256:22
    # via
    #   a
    #   c
c==3 \\
    --hash=sha256:33
    # via -r full.in
";

    /// In its hash mode pip looks for `coverage[toml]` apart from `coverage`, and takes the newest there is, unless the pin names the extra too.
    #[test]
    fn a_pin_names_the_extra_that_another_package_asks_for() {
        let lock = crate::blueprint::generate::templates::verbatim("backend/dev.lock").expect("a file of the blueprint");
        assert!(select(lock, &["pytest-cov"], &BTreeSet::new()).contains("coverage[toml]=="));
    }

    #[test]
    fn a_package_comes_with_what_it_needs_and_nothing_else() {
        let extra = LOCK.replace("b==", "cryptography==");
        assert_eq!(names(&select(&extra, &["a"], &BTreeSet::new())), BTreeSet::from(["a".to_owned()]));
        let chosen = select(LOCK, &["a"], &BTreeSet::new());
        assert_eq!(chosen, "a==1 \\\n    --hash=sha256:00\nb==2 ; sys_platform == 'win32' \\\n    --hash=sha256:11 \\\n    --hash=sha256:22\n");
        assert_eq!(names(&chosen), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    }
}
