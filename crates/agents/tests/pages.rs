//! What the generated pages promise before any tool of theirs runs: every commit's imports lead somewhere, and nothing is made in vain.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use grace_agents::blueprint::generate::{Part, generate};
use grace_domain::spec::Spec;

fn specs() -> Vec<Spec> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs");
    fs::read_dir(folder)
        .expect("the folder of specs is part of the checkout")
        .map(|entry| fs::read(entry.expect("the folder can be read").path()).expect("a spec can be read"))
        .map(|text| serde_json::from_slice(&text).expect("every file is a spec"))
        .collect()
}

/// What follows `from "` or `import "` and leads to another file of the pages, as a path in the repository.
fn imports(path: &str, source: &str) -> Vec<String> {
    source
        .lines()
        .filter_map(|line| line.split_once("from \"").or_else(|| line.split_once("import \"")))
        .filter_map(|(_, rest)| rest.split('"').next())
        .filter(|target| target.starts_with('.'))
        .map(|target| {
            let mut parts: Vec<&str> = path.split('/').collect();
            parts.pop();
            for part in target.split('/') {
                match part {
                    "." => {}
                    ".." => assert!(parts.pop().is_some(), "{path} imports from outside the repository: {target}"),
                    name => parts.push(name),
                }
            }
            parts.join("/")
        })
        .collect()
}

/// The file that an import means, the way a bundler looks for it.
fn resolve<'files>(files: &'files BTreeSet<String>, target: &str) -> Option<&'files String> {
    ["", ".ts", ".tsx", "/index.ts"].iter().find_map(|ending| files.get(&format!("{target}{ending}")))
}

#[test]
fn every_part_of_the_pages_stands_on_what_was_generated_before_it() {
    for spec in specs() {
        let mut there = BTreeSet::new();
        for part in [Part::FrontendFoundation, Part::FrontendPages, Part::FrontendRealtime, Part::FrontendTests] {
            let files = generate(&spec, part).expect("the spec can be generated");
            there.extend(files.iter().map(|file| file.path.clone()));
            for file in files.iter().filter(|file| file.path.ends_with(".ts") || file.path.ends_with(".tsx")) {
                let source = std::str::from_utf8(&file.content).expect("generated files are text");
                for target in imports(&file.path, source) {
                    assert!(resolve(&there, &target).is_some(), "{}, {part:?}: {} imports {target}, which is not there", spec.name, file.path);
                }
            }
        }
    }
}

#[test]
fn no_module_of_the_pages_is_made_in_vain() {
    for spec in specs() {
        let files: Vec<_> = [Part::FrontendFoundation, Part::FrontendPages, Part::FrontendRealtime, Part::FrontendTests]
            .into_iter()
            .flat_map(|part| generate(&spec, part).expect("the spec can be generated"))
            .filter(|file| file.path.contains("/src/") && !file.path.ends_with(".css"))
            .collect();
        let paths: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
        let mut used: BTreeSet<&String> = BTreeSet::new();
        for file in &files {
            let source = std::str::from_utf8(&file.content).expect("generated files are text");
            used.extend(imports(&file.path, source).iter().filter_map(|target| resolve(&paths, target)));
        }
        for path in &paths {
            // These are where the browser and the test runner begin.
            let entrance = path.ends_with("/main.tsx") || path.ends_with("/setup.ts") || path.contains(".test.");
            assert!(entrance || used.contains(path), "{}: nothing imports {path}", spec.name);
        }
    }
}

#[test]
fn every_entity_has_its_description_and_its_file_is_named_after_it() {
    for spec in specs() {
        let pages = generate(&spec, Part::FrontendPages).expect("the spec can be generated");
        if pages.is_empty() {
            continue;
        }
        for entity in &spec.entities {
            let ending = format!("/src/entities/{}.ts", entity.snake().replace('_', "-"));
            let file = pages.iter().find(|file| file.path.ends_with(&ending));
            let source = file.map(|file| String::from_utf8_lossy(&file.content).into_owned()).unwrap_or_default();
            assert!(source.contains(&format!("path: \"{}\"", entity.path())), "{}: {ending}", spec.name);
            for field in &entity.fields {
                assert!(source.contains(&format!("name: \"{}\"", field.name)), "{ending} lacks {}", field.name);
            }
        }
    }
}
