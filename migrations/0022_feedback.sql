-- What a person thinks of what was built; a later word replaces it.
ALTER TABLE retrospectives ADD COLUMN feedback jsonb;
