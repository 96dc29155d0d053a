//! What a file is for, by its name alone.

use grace_domain::event::ArtifactKind;

/// What a file is, by its name.
pub fn kind_of(path: &str) -> ArtifactKind {
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if lower.split('/').any(|part| matches!(part, "test" | "tests" | "__tests__" | "spec"))
        || name.starts_with("test_")
        || name.contains(".test.")
        || name.contains("_test.")
        || name.contains(".spec.")
    {
        ArtifactKind::Test
    } else if matches!(ending, "md" | "rst" | "adoc") || name.starts_with("license") {
        ArtifactKind::Doc
    } else if matches!(ending, "sol") {
        ArtifactKind::Contract
    } else if matches!(ending, "tf" | "tfvars") || name == "dockerfile" || name.starts_with("compose.") {
        ArtifactKind::Infrastructure
    } else if matches!(ending, "toml" | "json" | "yaml" | "yml" | "ini" | "cfg" | "lock" | "") || name.starts_with('.') {
        ArtifactKind::Config
    } else {
        ArtifactKind::Code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_names() {
        for (path, kind) in [
            ("src/lib.rs", ArtifactKind::Code),
            ("tests/it.rs", ArtifactKind::Test),
            ("src/a.test.ts", ArtifactKind::Test),
            ("README.md", ArtifactKind::Doc),
            ("Cargo.toml", ArtifactKind::Config),
            (".gitignore", ArtifactKind::Config),
            ("main.tf", ArtifactKind::Infrastructure),
        ] {
            assert_eq!(kind_of(path), kind, "{path}");
        }
    }
}
