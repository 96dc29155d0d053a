-- The event log, append-only: logs, status, progress, artifacts, reviews. Every screen and the live stream are views of it.
CREATE TABLE events (
    -- Without REFERENCES, which would be checked row by row: rows are only inserted from the intent's own row, and intents are never deleted.
    intent_id bigint NOT NULL,
    -- 1, 2, 3 … within the intent, without gaps, given in commit order (intents.last_seq).
    seq bigint NOT NULL,
    kind text NOT NULL,
    -- The event's content; null for log lines, which are nearly all rows and have columns of their own below: smaller, and searched without JSON.
    payload jsonb,
    level smallint CHECK (level BETWEEN 0 AND 3),
    source text,
    message text,
    task_id bigint,
    at timestamptz NOT NULL,

    -- Place in the stream over all intents. Transactions commit in another order than they take numbers in, so a reader that goes by a number
    -- alone would pass over rows that become visible later. The horizon is the highest transaction id among this event's and those of the
    -- events before it in its intent. A reader goes in the order (horizon, id), and only as far as the horizon is below every transaction that is
    -- still open (pg_snapshot_xmin): nothing can appear behind it any more, and the events of an intent come in the order of seq.
    horizon xid8 NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,

    PRIMARY KEY (intent_id, seq),
    CHECK ((kind = 'log') = (level IS NOT NULL AND source IS NOT NULL AND message IS NOT NULL AND payload IS NULL))
);

CREATE INDEX events_stream ON events (horizon, id);
-- Pages of a build's log. "Warnings and above" and "errors" are rare in a long log: each has an index, so that a page never walks all lines.
CREATE INDEX events_log ON events (intent_id, seq) WHERE level IS NOT NULL;
CREATE INDEX events_log_warn ON events (intent_id, seq) WHERE level >= 2;
CREATE INDEX events_log_error ON events (intent_id, seq) WHERE level >= 3;
