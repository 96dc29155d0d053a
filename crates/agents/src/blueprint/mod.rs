//! The blueprint agent: reads a description into a `Spec` and generates a project from it, without a model and without chance.

pub mod generate;
pub mod understand;
