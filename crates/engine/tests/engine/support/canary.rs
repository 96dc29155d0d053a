//! Searches what Grace keeps and shows for a value that must be nowhere.

use std::path::Path;

use base64::Engine as _;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A value as it is, and as commands and JSON encode it.
pub fn forms(value: &str) -> Vec<String> {
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let escaped = serde_json::Value::from(value).to_string();
    vec![value.to_owned(), base64::engine::general_purpose::STANDARD.encode(value), hex, escaped.trim_matches('"').to_owned()]
}

pub fn clean(what: &str, text: &str, forms: &[String]) {
    for form in forms {
        if let Some(at) = text.find(form) {
            let start = (0..=at.saturating_sub(80)).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0);
            panic!("{what} holds {form}: …{}", text[start..].chars().take(240).collect::<String>());
        }
    }
}

/// Every row of every table, as text; `bytea` as hex and as the bytes themselves.
pub async fn all_tables(url: &str) -> String {
    let mut conn = PgConnection::connect(url).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    assert!(tables.iter().any(|table| table.contains("secret_versions")) && tables.len() > 20, "{tables:?}");
    let mut all = String::new();
    for table in tables {
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("SELECT t::text FROM {table} t"))).fetch_all(&mut conn).await.unwrap();
        all.push_str(&rows.join("\n"));
    }
    all
}

/// Every file below a folder, one after another, as far as each is text or not.
pub fn all_files(folder: &Path, leave_out: &[&str]) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if leave_out.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            all.push_str(&all_files(&path, leave_out));
        } else if kind.is_file() {
            all.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
    all
}

pub fn command_lines() -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            all.push_str(&String::from_utf8_lossy(&std::fs::read(entry.path().join("cmdline")).unwrap_or_default()));
            all.push('\n');
        }
    }
    all
}
