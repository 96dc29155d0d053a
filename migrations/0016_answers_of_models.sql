-- Whether a model said it: what is from Grace's own records is told apart.
ALTER TABLE chat_messages ADD COLUMN by_model boolean NOT NULL DEFAULT false;
