-- What the tests of a given repository said before the build changed anything: command, end and counts as they were printed. Null: they were not run.
-- With the intent, because it is shown with it and told to the agent at each of its tasks.
ALTER TABLE intents ADD COLUMN baseline jsonb;
