-- A plan can be changed while its tasks are carried out: what is left of it becomes a new revision, which waits for approval as the first one did.

-- Where Resume leads is also kept while what is left is planned anew and waits for approval: an answer leads there.
ALTER TABLE intents DROP CONSTRAINT intents_check;
ALTER TABLE intents ADD CONSTRAINT intents_resume_to_check
    CHECK (CASE WHEN resume_to IS NULL THEN status <> 'paused' ELSE status IN ('paused', 'planning', 'awaiting_approval') END);

-- The revision that this one changes: after a rejection that is not the one before it.
ALTER TABLE plans ADD COLUMN base integer;
UPDATE plans SET base = revision - 1 WHERE revision > 1;
-- `approved` or `rejected`; null while nobody has said anything to it. The newest approved one is what a build goes back to.
ALTER TABLE plans ADD COLUMN answer text CHECK (answer IN ('approved', 'rejected'));
UPDATE plans SET answer = 'approved' FROM intents
 WHERE intents.id = intent_id AND revision = plan_revision AND EXISTS (SELECT FROM tasks WHERE tasks.intent_id = intents.id AND deployment_id IS NULL);

-- Whether a task works in a folder of its own. Null: the order of the tasks says. Set when that order changes while the task is under way.
ALTER TABLE tasks ADD COLUMN apart boolean;
