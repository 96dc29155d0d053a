//! One file per page. A page reads what it shows and lays it out; parts that several pages share are components.

pub mod analytics;
pub mod build;
pub mod build_tabs;
pub mod document;
pub mod documents;
pub mod home;
pub mod not_found;
pub mod operations;
pub mod settings;
pub mod tasks;
