-- Places: releases that go from one to the next as they are, their databases, and the variables of their services.

-- The deployment whose release was taken over; null: packaged for this one.
ALTER TABLE deployments ADD COLUMN promoted_from bigint REFERENCES deployments;

-- Of the files as they were packaged, `sha256:` and 64 digits. Null: packaged before it was kept.
ALTER TABLE releases ADD COLUMN digest text;
-- Revision of the database's schema that it runs on, as its migrations say; null: its place has no database of its own.
ALTER TABLE releases ADD COLUMN schema_revision text;

-- The PostgreSQL database of a place. Its row comes before it and goes after it, so that a server that ends in the middle knows what there may be.
CREATE TABLE place_databases (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_id bigint NOT NULL REFERENCES intents,
    environment text NOT NULL,
    -- Of the database and of its role. It never changes: a copy that is restored takes it.
    name text NOT NULL UNIQUE,
    -- `provisioning`, `ready`, `dropping`
    state text NOT NULL,
    -- Secret of the build in the vault that holds the role's password.
    secret text NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (intent_id, environment)
);

-- Copies of a place's database: made before a migration, or what was there before one was restored.
CREATE TABLE database_copies (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    database_id bigint NOT NULL REFERENCES place_databases ON DELETE CASCADE,
    -- Name of the copy, itself a database on the same server.
    name text NOT NULL UNIQUE,
    -- `before_migration`, `replaced`
    kind text NOT NULL,
    -- Of the schema in it; null: it had none.
    schema_revision text,
    -- The deployment whose migration or way back it was made for.
    deployment_id bigint NOT NULL REFERENCES deployments,
    made_at timestamptz NOT NULL
);
CREATE INDEX database_copies_of ON database_copies (database_id, id);

-- Variables that the services of a place are given; the value is a secret of the vault, read when a release is started.
CREATE TABLE place_variables (
    intent_id bigint NOT NULL REFERENCES intents,
    environment text NOT NULL,
    variable text NOT NULL,
    -- Name of the secret: the build's own, else everybody's.
    secret text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (intent_id, environment, variable)
);
