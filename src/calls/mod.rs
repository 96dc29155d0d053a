//! Server functions: thin doors from the pages to the engine. They decide nothing and know no storage.
