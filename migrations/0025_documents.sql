-- Documents of builds' repositories: found by their words, read, and kept as releases had them.

-- A document is a path of a build: its address stays while its text changes.
CREATE TABLE documents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_id bigint NOT NULL REFERENCES intents,
    path text NOT NULL,
    UNIQUE (intent_id, path)
);

-- Its texts: that of the repository now, and those that releases went live with. Others are not kept: git has them.
CREATE TABLE document_versions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document_id bigint NOT NULL REFERENCES documents ON DELETE CASCADE,
    -- The commit that this text was first read from.
    commit text NOT NULL,
    -- SHA-256 of the text, hex.
    hash text NOT NULL,
    title text NOT NULL,
    -- A line each.
    headings text NOT NULL,
    text text NOT NULL,
    -- The repository has this text now.
    current boolean NOT NULL,
    at timestamptz NOT NULL,
    -- A path is several words here: Postgres would take it for one.
    search tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', headings), 'B') || setweight(to_tsvector('english', translate(text, '/', ' ')), 'D')
    ) STORED,
    UNIQUE (document_id, hash)
);
CREATE UNIQUE INDEX document_versions_current ON document_versions (document_id) WHERE current;
-- Only what is current is searched.
CREATE INDEX document_versions_search ON document_versions USING gin (search) WHERE current;
-- Documents that changed last come first when nothing is searched for.
CREATE INDEX document_versions_newest ON document_versions (at DESC, document_id) WHERE current;

-- What a heading stands over, without markup: what is quoted, and where a link leads.
CREATE TABLE document_sections (
    version_id bigint NOT NULL REFERENCES document_versions ON DELETE CASCADE,
    position integer NOT NULL,
    -- 0 for what stands before the first heading.
    level integer NOT NULL,
    heading text NOT NULL,
    anchor text NOT NULL,
    text text NOT NULL,
    search tsvector NOT NULL GENERATED ALWAYS AS (setweight(to_tsvector('english', heading), 'B') || setweight(to_tsvector('english', translate(text, '/', ' ')), 'D')) STORED,
    PRIMARY KEY (version_id, position)
);
-- Agents are told the sections that have most words of a request.
CREATE INDEX document_sections_search ON document_sections USING gin (search);

-- Which texts a release went live with.
CREATE TABLE document_pins (
    deployment_id bigint NOT NULL REFERENCES deployments,
    version_id bigint NOT NULL REFERENCES document_versions ON DELETE CASCADE,
    PRIMARY KEY (deployment_id, version_id)
);
CREATE INDEX document_pins_of_version ON document_pins (version_id);

-- How far each build's documents were read.
CREATE TABLE document_indexes (
    intent_id bigint PRIMARY KEY REFERENCES intents,
    commit text NOT NULL,
    documents integer NOT NULL,
    -- What looked like a document and was not taken, with the reason, a line each.
    left_out text[] NOT NULL,
    at timestamptz NOT NULL
);
