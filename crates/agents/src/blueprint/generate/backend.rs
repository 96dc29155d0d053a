//! The service itself: FastAPI, SQLAlchemy and Alembic.

use grace_domain::spec::Spec;

use super::{Error, GeneratedFile, Part};

/// The files of one backend part.
///
/// # Errors
/// [`Error::Template`] when a template does not fit the spec.
pub fn generate(_spec: &Spec, _part: Part) -> Result<Vec<GeneratedFile>, Error> {
    Ok(Vec::new())
}
