-- Secrets: sealed values, which build may use which, and who read or changed what. No value is ever in here unsealed.

-- A secret by its name, for all builds or for one.
CREATE TABLE secrets (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Null: every build may be allowed to use it.
    intent_id bigint REFERENCES intents,
    name text NOT NULL,
    -- The newest one.
    version integer NOT NULL CHECK (version > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    last_read_at timestamptz
);
-- One of each name and scope; intents are numbered from 1.
CREATE UNIQUE INDEX secrets_by_name ON secrets (name, coalesce(intent_id, 0));

-- Values, each sealed under a data key of its own, and that under the master key. Both seals are bound to scope, name and version. Earlier versions
-- stay for a while: a build that was given one may still print it, and then it must be known.
CREATE TABLE secret_versions (
    secret_id bigint NOT NULL REFERENCES secrets ON DELETE CASCADE,
    version integer NOT NULL,
    value bytea NOT NULL,
    data_key bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (secret_id, version)
);

-- What a person allowed a build to use. It ends with the secret: a value that is added anew must be allowed anew.
CREATE TABLE secret_grants (
    intent_id bigint NOT NULL REFERENCES intents,
    secret_id bigint NOT NULL REFERENCES secrets ON DELETE CASCADE,
    review_id bigint NOT NULL REFERENCES reviews,
    purpose text NOT NULL,
    granted_at timestamptz NOT NULL,
    PRIMARY KEY (intent_id, secret_id)
);

-- Who did what with which secret, append-only. Names instead of references: it outlives what it tells of.
CREATE TABLE secret_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    -- `added`, `replaced`, `deleted`, `requested`, `allowed`, `refused`, `read`, `rotated`
    action text NOT NULL,
    -- Null for what is about all of them.
    name text,
    -- The secret's own scope; null: all builds.
    scope_intent_id bigint,
    version integer,
    -- For which build and task it was done; null for what a person did in Settings.
    intent_id bigint,
    task_id bigint,
    -- What for, as it was said; of a read, the command.
    purpose text NOT NULL
);

-- The secret that a review is about.
ALTER TABLE reviews ADD COLUMN secret text;
