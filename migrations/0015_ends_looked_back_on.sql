-- When the build ended that a measured retrospective looks back on: the same end is looked back on once, however often its job comes.
ALTER TABLE retrospectives ADD COLUMN of_end timestamptz;
UPDATE retrospectives SET of_end = intents.finished_at FROM intents WHERE measured AND intents.id = intent_id AND intents.finished_at <= retrospectives.created_at;
