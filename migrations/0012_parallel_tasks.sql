-- For a task that works in a folder of its own: the commit that holds its files as they were when its conversation was kept. It is on no branch.
ALTER TABLE conversations ADD COLUMN commit text;
