-- All times are microseconds since 1970 in UTC, durations microseconds. What is true or false is 1 or 0, as in the other database.

-- A push that CXone took; its id is its decision's.
CREATE TABLE deliveries (
    number          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              BYTEA  NOT NULL UNIQUE,
    profile         TEXT   NOT NULL,
    interaction     TEXT   NOT NULL,
    utterance       BIGINT NOT NULL,
    delivered_at_us BIGINT NOT NULL,
    cxone_id        TEXT,
    latency_ms      BIGINT NOT NULL,
    -- Of the question: no word of it, and its vector only where the settings keep that.
    num_words       BIGINT,
    num_turns       BIGINT,
    question_vector BYTEA
);

CREATE INDEX deliveries_by_interaction ON deliveries (interaction, profile, delivered_at_us);

-- The cards of a push: what the agent saw, by what it was chosen, and what the agent made of it.
CREATE TABLE impressions (
    delivery     BIGINT           NOT NULL REFERENCES deliveries (number) ON DELETE CASCADE,
    article_id   TEXT             NOT NULL,
    -- What CXone calls the card; feedback names it so.
    wire_id      TEXT             NOT NULL,
    -- Of the article as it was then.
    content_hash TEXT             NOT NULL,
    rank         BIGINT           NOT NULL,
    score        DOUBLE PRECISION NOT NULL,
    -- The probability that the card is right, where the ranker tells one.
    probability  DOUBLE PRECISION,
    -- How probable it was that the article came at this rank.
    propensity   DOUBLE PRECISION CHECK (propensity > 0 AND propensity <= 1),
    -- A JSON object of numbers by name.
    features     TEXT             NOT NULL,
    -- By the newest event; none where the agent did nothing with the card.
    accepted     BIGINT           CHECK (accepted IN (0, 1)),
    PRIMARY KEY (delivery, article_id)
);

CREATE INDEX impressions_judged ON impressions (delivery) WHERE accepted IS NOT NULL;

-- How delivered cards were received, each counted once by its newest event; what is purged or erased stays counted.
CREATE TABLE acceptance (
    profile  TEXT   PRIMARY KEY,
    accepted BIGINT NOT NULL,
    rejected BIGINT NOT NULL
);

-- What agents did with cards.
CREATE TABLE feedback (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Made where it was heard: storing it again changes nothing.
    event       BYTEA  NOT NULL UNIQUE,
    profile     TEXT   NOT NULL,
    interaction TEXT   NOT NULL,
    insight     TEXT   NOT NULL,
    -- Without what names a person or an account.
    action      TEXT   NOT NULL,
    accepted    BIGINT NOT NULL CHECK (accepted IN (0, 1)),
    heard_at_us BIGINT NOT NULL,
    -- The number of the delivery that showed the card, where one is known.
    delivery    BIGINT
);

CREATE INDEX feedback_by_card ON feedback (interaction, profile, insight);

-- What has to reach somebody. Of each key the oldest goes first, one at a time; what arrived is taken away.
CREATE TABLE queue (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         TEXT   NOT NULL CHECK (kind IN ('feedback', 'callback')),
    profile      TEXT   NOT NULL,
    key          TEXT   NOT NULL,
    -- A JSON object; what is in it is the kind's own.
    payload      TEXT   NOT NULL,
    state        TEXT   NOT NULL CHECK (state IN ('pending', 'dead')),
    attempts     BIGINT NOT NULL,
    retry_at_us  BIGINT NOT NULL,
    queued_at_us BIGINT NOT NULL,
    -- Of the last attempt that failed.
    reason       TEXT
);

CREATE INDEX queue_pending ON queue (kind, profile, key, id) WHERE state = 'pending';
CREATE INDEX queue_dead ON queue (kind, id) WHERE state = 'dead';

-- Numbers for sessions. The audit names a session by a pseudonym, and this table is the key to it: what is erased here nobody
-- finds in the audit again.
CREATE TABLE ranking_sessions (
    number    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile   TEXT   NOT NULL,
    session   TEXT   NOT NULL,
    pseudonym BYTEA  NOT NULL,
    at_us     BIGINT NOT NULL,
    UNIQUE (session, profile)
);

-- What was submitted for a session, one row for each submission. The order of the ids is the order of storing.
CREATE TABLE ranking_audit (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile       TEXT   NOT NULL,
    pseudonym     BYTEA  NOT NULL,
    at_us         BIGINT NOT NULL,
    snippet_count BIGINT NOT NULL,
    -- A day at most, so that the sum of many stays within an integer.
    latency_us    BIGINT NOT NULL CHECK (latency_us BETWEEN 0 AND 86400000000),
    max_window    BIGINT NOT NULL,
    status        TEXT   NOT NULL CHECK (status IN ('success', 'failed')),
    checksum      TEXT,
    -- The ids of the snippets in their order, a JSON array.
    delivered     TEXT   NOT NULL
);

CREATE TABLE ranking_clicks (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session       BIGINT NOT NULL REFERENCES ranking_sessions (number) ON DELETE CASCADE,
    snippet       TEXT   NOT NULL,
    rank_position BIGINT NOT NULL CHECK (rank_position >= 1),
    clicked_at_us BIGINT NOT NULL
);

CREATE INDEX ranking_clicks_by_session ON ranking_clicks (session);

-- Each snippet of a session once: was it delivered, was it clicked.
CREATE TABLE ranked_snippets (
    session   BIGINT NOT NULL REFERENCES ranking_sessions (number) ON DELETE CASCADE,
    snippet   TEXT   NOT NULL,
    delivered BIGINT NOT NULL CHECK (delivered IN (0, 1)),
    clicked   BIGINT NOT NULL CHECK (clicked IN (0, 1)),
    PRIMARY KEY (session, snippet)
);

-- What the tables above come to, kept in the transaction that changes them.
CREATE TABLE ranking_totals (
    profile           TEXT   PRIMARY KEY,
    entries           BIGINT NOT NULL DEFAULT 0,
    successes         BIGINT NOT NULL DEFAULT 0,
    -- Of the successes.
    latency_us        BIGINT NOT NULL DEFAULT 0,
    clicks            BIGINT NOT NULL DEFAULT 0,
    delivered         BIGINT NOT NULL DEFAULT 0,
    delivered_clicked BIGINT NOT NULL DEFAULT 0
);

-- What operators decided about articles while the service ran. The newest action on an article is the one in effect.
CREATE TABLE operator_actions (
    number     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile    TEXT   NOT NULL,
    article_id TEXT   NOT NULL,
    action     TEXT   NOT NULL CHECK (action IN ('pin', 'mute', 'release')),
    -- Who did it and why, in the operator's words.
    reason     TEXT   NOT NULL,
    at_us      BIGINT NOT NULL,
    -- When it ends by itself, where it does.
    ends_at_us BIGINT
);

CREATE INDEX operator_actions_by_article ON operator_actions (profile, article_id, number);

-- What was decided about each question, without what names a person or an account.
CREATE TABLE decisions (
    number      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          BYTEA  NOT NULL UNIQUE,
    profile     TEXT   NOT NULL,
    interaction TEXT   NOT NULL,
    outcome     TEXT   NOT NULL,
    at_us       BIGINT NOT NULL,
    -- A JSON object, deflated.
    body        BYTEA  NOT NULL
);

CREATE INDEX decisions_by_interaction ON decisions (interaction, profile);

-- How far a kind of record was purged: the audit gives up nothing that is younger.
CREATE TABLE purges (
    kind      TEXT   PRIMARY KEY,
    before_us BIGINT NOT NULL
);

CREATE FUNCTION keep_ranking_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'an audit entry is never changed';
    ELSIF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'an audit entry is deleted by its age alone';
    ELSIF OLD.at_us >= COALESCE((SELECT before_us FROM purges WHERE kind = 'audit'), 0) THEN
        RAISE EXCEPTION 'an audit entry is deleted by its age alone';
    END IF;
    RETURN OLD;
END;
$$;

CREATE TRIGGER ranking_audit_is_kept BEFORE UPDATE OR DELETE ON ranking_audit
FOR EACH ROW EXECUTE FUNCTION keep_ranking_audit();

CREATE TRIGGER ranking_audit_is_not_truncated BEFORE TRUNCATE ON ranking_audit
FOR EACH STATEMENT EXECUTE FUNCTION keep_ranking_audit();

-- One row, written where it must be known whether anything can be.
CREATE TABLE probe (
    id    BIGINT PRIMARY KEY CHECK (id = 1),
    at_us BIGINT NOT NULL
);

INSERT INTO probe VALUES (1, 0);
