//! What a configuration may not have, whoever wrote it: what would run programs, keep the state elsewhere, or fetch code that nobody looked at. Read from
//! the text, a line at a time: Terraform itself says what is valid. Pure.

/// What is looked for, in words.
pub const RULES: &str = "no backend or cloud block, no provisioner, no external or http data source, no module from elsewhere";

/// Every line that breaks a rule: where, and which. `files`: paths with their texts.
pub fn violations(files: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files {
        if path.ends_with(".tf.json") || path.ends_with(".tofu.json") {
            found.push(format!("{path}: a configuration in JSON is not looked into; write it as .tf"));
            continue;
        }
        let mut in_comment = false;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if in_comment || line.starts_with("/*") {
                in_comment = !line.contains("*/");
                continue;
            }
            if line.starts_with('#') || line.starts_with("//") {
                continue;
            }
            if let Some(why) = broken(line) {
                found.push(format!("{path}, line {number}: {why}"));
            }
        }
    }
    found
}

fn broken(line: &str) -> Option<&'static str> {
    let words: Vec<&str> =
        line.split(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '{' | '=')).filter(|word| !word.is_empty()).collect();
    let opens = line.contains('{');
    match words.as_slice() {
        ["backend", ..] if opens => Some("the state is kept by Grace; remove the backend"),
        ["cloud", ..] if opens && !line.contains('=') => Some("the state is kept by Grace; remove the cloud block"),
        ["provisioner", ..] if opens => Some("provisioners run programs; use a resource of a provider"),
        ["data", "external" | "http", ..] => Some("this data source runs programs or opens connections"),
        ["source", place, ..] if line.contains('=') && is_elsewhere(place) => Some("modules come from the repository alone"),
        _ => None,
    }
}

/// Only files of the configuration's own folder are looked into, so a module of a folder above would not be. Addresses of providers have the form `owner/name`, which is nobody's code to run here: they are fetched or not when it is initialised.
fn is_elsewhere(source: &str) -> bool {
    source.contains("::")
        || source.contains("://")
        || source.starts_with("git@")
        || source.starts_with("..")
        || source.starts_with('/')
        || source.matches('/').count() >= 2 && !source.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_programs_or_keeps_the_state_elsewhere_is_found() {
        let table = [
            ("backend \"s3\" {", true),
            ("  provisioner \"local-exec\" {", true),
            ("data \"external\" \"x\" {", true),
            ("source = \"git::https://example.com/x.git\"", true),
            ("source = \"terraform-aws-modules/vpc/aws\"", true),
            ("source  = \"hashicorp/aws\"", false),
            ("source = \"./modules/network\"", false),
            ("source = \"../../elsewhere\"", true),
            ("source = \"/opt/elsewhere\"", true),
            ("# backend \"s3\" {", false),
            ("cloud = { a = 1 }", false),
            ("resource \"terraform_data\" \"backend\" {", false),
        ];
        for (line, refused) in table {
            let found = violations(&[("main.tf".into(), format!("\n{line}\n"))]);
            assert_eq!(!found.is_empty(), refused, "{line}: {found:?}");
            assert!(found.iter().all(|text| text.starts_with("main.tf, line 2")), "{found:?}");
        }
        for path in ["x.tf.json", "x.tofu.json"] {
            assert_eq!(violations(&[(path.into(), "{}".into())]).len(), 1, "{path}");
        }
    }
}
