-- What a rollback of a deployment goes by. A rollback is carried out on the deployment that it ends, whose own steps stay.

-- The release that the rollback under way, or the last one, goes to; null: there was none.
ALTER TABLE deployments ADD COLUMN rollback_to bigint REFERENCES releases;
-- How many of the steps, from the first, were there before it: a rollback that begins again after a crash replaces only its own.
ALTER TABLE deployments ADD COLUMN steps_before integer NOT NULL DEFAULT 0;
