//! The agents that turn an approved plan into files. They must not know the database, the sandbox or the browser: what they need
//! comes in as arguments, what they make goes out as values.

pub mod blueprint;
