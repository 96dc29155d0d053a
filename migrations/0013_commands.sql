-- Commands that a person is asked about.

-- What a review of a command is about: the command, its folder, its secrets, as JSON. An answer for the whole build holds for exactly this.
ALTER TABLE reviews ADD COLUMN command jsonb;
-- When the command that was allowed began. It begins once for each answer, whatever ends the server.
ALTER TABLE reviews ADD COLUMN begun_at timestamptz;
-- What was said of a build's commands; few reviews are about one.
CREATE INDEX reviews_commands ON reviews (intent_id) WHERE command IS NOT NULL;
-- The figures of the policy, which are read with every look at the kernels: a build's log is a thousand times as long.
CREATE INDEX events_commands ON events ((payload ->> 'fate')) WHERE kind = 'command';
