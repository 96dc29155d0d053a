//! Files of a given repository's submodules, laid where the repository wants them, so that what is built and tested is whole. Their histories stay
//! beside the build's own, out of the sandbox's reach, and changes in them are not committed.
//!
//! Where a submodule comes from is said by the repository's text, so it is followed only to where the person already pointed: the copy that the
//! given folder has of it, a neighbour of the given folder, or a public address.

use std::path::{Component, Path, PathBuf};

use grace_domain::{address::ssh_address, intent::Repository};

use super::{
    WorkspaceError,
    clone::{Access, Bounds, bounded, fetch_from, refused},
    git::{Call, Git},
};

/// Submodules that are fetched.
const MODULES: usize = 20;

#[derive(Debug, Default)]
struct Module {
    name: String,
    path: String,
    url: String,
}

/// Fetches what the commit at `HEAD` names; answers with what is missing, for people.
pub(super) async fn fetch(git: &Git, repository: &Repository, access: Option<&Access>, bounds: &Bounds) -> Result<Vec<String>, WorkspaceError> {
    let modules = listed(git).await?;
    let mut missing = Vec::new();
    for (number, module) in modules.iter().enumerate() {
        if number >= MODULES {
            missing.push(format!("{} of {} submodules; at most {MODULES} are fetched", modules.len() - MODULES, modules.len()));
            break;
        }
        let of = Git { git_dir: git.git_dir.join("grace-modules").join(number.to_string()), work_tree: git.work_tree.join(&module.path) };
        match one(git, &of, module, (repository, access), bounds).await {
            Ok(false) => {}
            Ok(true) => missing.push(format!("submodules within the submodule {}", module.path)),
            Err(WorkspaceError::Clone { reason }) => missing.push(format!("the submodule {} ({})", module.path, reason.trim_end_matches('.'))),
            Err(WorkspaceError::Git { step, message }) => missing.push(format!("the submodule {} (git {step}: {message})", module.path)),
            Err(other) => return Err(other),
        }
    }
    Ok(missing)
}

async fn listed(git: &Git) -> Result<Vec<Module>, WorkspaceError> {
    let arguments = ["config", "--blob", "HEAD:.gitmodules", "-z", "--get-regexp", r"^submodule\..*\.(path|url)$"];
    // It fails when there is no such file.
    let Some(said) = git.ask(Call::new("config", &arguments)).await? else { return Ok(Vec::new()) };
    let mut modules: Vec<Module> = Vec::new();
    for entry in said.bytes.split(|byte| *byte == 0) {
        let Ok(entry) = std::str::from_utf8(entry) else { continue };
        let Some((key, value)) = entry.split_once('\n') else { continue };
        let Some((name, field)) = key.strip_prefix("submodule.").and_then(|key| key.rsplit_once('.')) else { continue };
        if !modules.iter().any(|module| module.name == name) {
            modules.push(Module { name: name.into(), ..Module::default() });
        }
        if let Some(module) = modules.iter_mut().find(|module| module.name == name) {
            *(if field == "path" { &mut module.path } else { &mut module.url }) = value.into();
        }
    }
    modules.retain(|module| is_plain(&module.path));
    Ok(modules)
}

/// Whether it has submodules of its own, which are not fetched.
async fn one(
    git: &Git,
    of: &Git,
    module: &Module,
    (repository, access): (&Repository, Option<&Access>),
    bounds: &Bounds,
) -> Result<bool, WorkspaceError> {
    // `160000 commit HASH\tPATH`: only what the commit itself has as a submodule is one.
    let entry = git.run(Call::new("ls-tree", &["ls-tree", "HEAD", "--", &module.path])).await?.text();
    let Some(commit) = entry.strip_prefix("160000 commit ").and_then(|rest| rest.split_whitespace().next()) else {
        return Err(refused("the repository names it and does not have it".into()));
    };
    for folder in [&of.git_dir, &of.work_tree] {
        tokio::fs::create_dir_all(folder).await.map_err(|source| WorkspaceError::Folder { path: folder.clone(), source })?;
    }
    of.run(Call::new("init", &["init", "--quiet"])).await?;
    fetch_from(of, &source(module, repository)?, access, commit, bounds).await?;
    bounded(of, commit, bounds).await?;
    of.run(Call::new("checkout", &["checkout", "--quiet", commit, "--", "."])).await?;
    let nested = format!("{commit}:.gitmodules");
    Ok(of.ask(Call::new("cat-file", &["cat-file", "-e", &nested])).await?.is_some())
}

fn source(module: &Module, repository: &Repository) -> Result<Repository, WorkspaceError> {
    let relative = module.url.starts_with("./") || module.url.starts_with("../");
    match repository {
        Repository::Path(path) => {
            let given = Path::new(path);
            let copy = given.join(".git/modules").join(&module.name);
            if is_plain(&module.name) && copy.is_dir() {
                return Ok(Repository::Path(copy.to_string_lossy().into_owned()));
            }
            if relative {
                let neighbour = resolved(given, &module.url);
                return match neighbour.filter(|neighbour| given.parent().is_some_and(|parent| neighbour.starts_with(parent))) {
                    Some(neighbour) => Ok(Repository::Path(neighbour.to_string_lossy().into_owned())),
                    None => Err(refused(format!("{} leads away from the given folder", module.url))),
                };
            }
        }
        Repository::Url(url) if relative => {
            let mut folder = url.clone();
            folder.set_path(&format!("{}/", url.path().trim_end_matches('/')));
            return folder.join(&module.url).map(Repository::Url).map_err(|error| refused(format!("{} is no address: {error}", module.url)));
        }
        Repository::Url(_) | Repository::Build(_) => {}
    }
    // The key is for the host that the person named, and for no other.
    if let (Repository::Url(given), Some(Ok(url))) = (repository, ssh_address(&module.url)) {
        let place = |url: &url::Url| (url.scheme().to_owned(), url.username().to_owned(), url.host_str().map(str::to_owned), url.port());
        return match place(given) == place(&url) {
            true => Ok(Repository::Url(url)),
            false => Err(refused(format!("{} is on another host than the repository", module.url))),
        };
    }
    let found = Repository::Url(module.url.parse().map_err(|_| refused(format!("{} cannot be fetched from here", module.url)))?);
    match &found {
        Repository::Url(url) if url.scheme() == "https" && url.username().is_empty() && url.port().is_none() => Ok(found),
        _ => Err(refused(format!("{} is no plain https address", module.url))),
    }
}

/// A relative path without anything that leads out.
fn is_plain(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

fn resolved(from: &Path, relative: &str) -> Option<PathBuf> {
    let mut path = from.to_owned();
    for part in Path::new(relative).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submodule_is_followed_only_to_where_the_person_pointed() {
        let of = |url: &str, repository: &Repository| {
            let module = Module { name: "lib".into(), path: "lib".into(), url: url.into() };
            source(&module, repository).map(|found| found.to_string()).map_err(|error| error.to_string())
        };
        let path = Repository::Path("/srv/code/app".into());
        assert_eq!(of("../lib.git", &path).unwrap(), "/srv/code/lib.git");
        assert_eq!(of("https://example.org/lib.git", &path).unwrap(), "https://example.org/lib.git");
        for refused in
            ["../../secret", "/srv/secret", "file:///srv/secret", "ssh://example.org/lib", "git@example.org:lib", "https://me:word@example.org/lib"]
        {
            assert!(of(refused, &path).is_err(), "{refused}");
        }
        let url = Repository::Url("https://example.org/a/app.git".parse().unwrap());
        assert_eq!(of("../lib.git", &url).unwrap(), "https://example.org/a/lib.git");
        assert!(of("/srv/secret", &url).is_err());
    }

    async fn committed(git: &Git, name: &str) {
        std::fs::create_dir_all(&git.work_tree).expect("a folder");
        git.run(Call::new("init", &["init", "--quiet"])).await.expect("a repository");
        std::fs::write(git.work_tree.join(name), name).expect("a file");
        git.run(Call::new("add", &["add", "--all"])).await.expect("files");
        git.run(Call::new("commit", &["commit", "--quiet", "-m", "Work"])).await.expect("a commit");
    }

    #[tokio::test]
    async fn files_of_submodules_are_laid_out_and_are_no_change_of_the_build() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| Git { git_dir: folder.path().join(name).join(".git"), work_tree: folder.path().join(name) };
        let (library, app) = (at("lib"), at("app"));
        committed(&library, "old.txt").await;
        let wanted = library.run(Call::new("rev-parse", &["rev-parse", "HEAD"])).await.expect("a commit").text();
        committed(&library, "new.txt").await;
        committed(&app, "main.txt").await;
        let modules = "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib\n[submodule \"gone\"]\n\tpath = gone\n\turl = ../nowhere\n\
                       [submodule \"out\"]\n\tpath = ../out\n\turl = ../lib\n";
        std::fs::write(app.work_tree.join(".gitmodules"), modules).expect("a file");
        for path in ["vendor/lib", "gone"] {
            let entry = format!("160000,{wanted},{path}");
            app.run(Call::new("update-index", &["update-index", "--add", "--cacheinfo", &entry])).await.expect("an entry");
        }
        app.run(Call::new("add", &["add", ".gitmodules"])).await.expect("files");
        app.run(Call::new("commit", &["commit", "--quiet", "-m", "Submodules"])).await.expect("a commit");

        let build = Git { git_dir: folder.path().join("repository.git"), work_tree: folder.path().join("work") };
        let given = Repository::Path(app.work_tree.to_string_lossy().into_owned());
        super::super::clone::clone(&build, &given, None, &Bounds::USUAL).await.expect("a clone");
        std::fs::create_dir(&build.work_tree).expect("a folder");
        build.run(Call::new("config", &["config", "core.bare", "false"])).await.expect("a setting");
        build.run(Call::new("reset", &["reset", "--quiet", "--hard", "HEAD"])).await.expect("files");
        let missing = fetch(&build, &given, None, &Bounds::USUAL).await.expect("submodules");
        assert!(missing.len() == 1 && missing[0].starts_with("the submodule gone (there is no folder"), "{missing:?}");
        let laid = build.work_tree.join("vendor/lib");
        assert_eq!(std::fs::read_to_string(laid.join("old.txt")).expect("a file"), "old.txt");
        assert!(!laid.join("new.txt").exists() && !laid.join(".git").exists(), "the commit that is named, without its history");
        let changed = ["status", "--porcelain=v1", "--untracked-files=all", "--ignore-submodules=all"];
        assert_eq!(build.run(Call::new("status", &changed)).await.expect("a status").text(), "");
        // As after a crash.
        build.run(Call::new("reset", &["reset", "--quiet", "--hard", "HEAD"])).await.expect("files");
        build.run(Call::new("clean", &["clean", "--quiet", "--force", "-d"])).await.expect("files");
        assert!(laid.join("old.txt").exists());
    }
}
