//! Tells the derive of API schemas that `Timestamp` is a point in time: it goes by names and does not see through an alias.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "openapi")]
    utoipa_config::Config::new().alias_for("Timestamp", "chrono::DateTime<chrono::Utc>").write_to_file();
}
