-- The language models that a person has, what they said while they built, and what that took.

-- Named profiles. No key is ever in here: a profile names the environment variable of the server that holds it.
CREATE TABLE model_profiles (
    name text PRIMARY KEY,
    profile jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- What a build may spend on models and has spent. A row of its own, because it is locked for every request to a model, and the intent's row is for
-- decisions about the build. Costs are millionths of a US dollar.
CREATE TABLE accounts (
    intent_id bigint PRIMARY KEY REFERENCES intents,
    budget jsonb NOT NULL,
    -- What is reserved for requests under way is counted in here.
    requests integer NOT NULL DEFAULT 0 CHECK (requests >= 0),
    input_tokens bigint NOT NULL DEFAULT 0 CHECK (input_tokens >= 0),
    -- Parts of the input: what providers had kept, and what they were told to keep.
    cached_tokens bigint NOT NULL DEFAULT 0 CHECK (cached_tokens >= 0),
    written_tokens bigint NOT NULL DEFAULT 0 CHECK (written_tokens >= 0),
    output_tokens bigint NOT NULL DEFAULT 0 CHECK (output_tokens >= 0),
    cost bigint NOT NULL DEFAULT 0 CHECK (cost >= 0),
    -- Requests to models whose price is unknown.
    unpriced integer NOT NULL DEFAULT 0,
    -- Requests whose tokens nobody counted; the most that they can have taken is in the sums.
    uncounted integer NOT NULL DEFAULT 0,
    -- The people were told that most of it is spent.
    warned boolean NOT NULL DEFAULT false,
    -- The build was paused because all is spent, not by a person.
    spent_out boolean NOT NULL DEFAULT false
);

-- What an agent and its model said to each other and what tools answered, append-only: every request can be made again from it.
CREATE TABLE turns (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_id bigint NOT NULL REFERENCES intents,
    -- None while the plan is made.
    task_id bigint REFERENCES tasks,
    -- `opening`, `answer`, `results`, `note`
    kind text NOT NULL,
    payload jsonb NOT NULL,
    at timestamptz NOT NULL
);
-- The whole of a build, in order.
CREATE INDEX turns_of_intent ON turns (intent_id, id);

-- Where an unfinished task's conversation stood when its files were last committed; read by the run that goes on. Apart from tasks, because it is
-- long and tasks are read often.
CREATE TABLE conversations (
    task_id bigint PRIMARY KEY REFERENCES tasks,
    conversation jsonb NOT NULL
);
