-- Releases that have an environment's traffic and do not run.

-- Why it does not run any more, after it was started again as often as it is; or could not be started with the server. Null: it runs, as far as is known.
ALTER TABLE live_releases ADD COLUMN down text;
