//! An overview of a repository for a prompt.
