-- Whether an answer in a person's own words is taken beside the options: an agent with a model understands it.
ALTER TABLE reviews ADD COLUMN in_words boolean NOT NULL DEFAULT false;
UPDATE reviews SET in_words = true WHERE review_type IN ('help', 'code_review');
