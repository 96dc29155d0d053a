-- Comments on lines of what a build changed.
CREATE TABLE comments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_id bigint NOT NULL REFERENCES intents,
    path text NOT NULL,
    side text NOT NULL,
    first_line bigint NOT NULL,
    last_line bigint NOT NULL,
    code jsonb NOT NULL,
    text text NOT NULL,
    commit text NOT NULL,
    -- The message of the build's events that tells the agent; NULL when none was at work to be told.
    message_seq bigint,
    at timestamptz NOT NULL,
    resolved_at timestamptz,
    -- The commit that resolved it; NULL when a person did.
    resolved_by text
);
CREATE INDEX comments_of_intent ON comments (intent_id, id);

-- Which tasks' agents have read it: the commit of another one does not resolve it.
CREATE TABLE comment_readings (
    comment_id bigint NOT NULL REFERENCES comments ON DELETE CASCADE,
    task_id bigint NOT NULL REFERENCES tasks,
    -- Whether a commit of the task, finished or not, has changed the file.
    touched boolean NOT NULL DEFAULT false,
    PRIMARY KEY (comment_id, task_id)
);
