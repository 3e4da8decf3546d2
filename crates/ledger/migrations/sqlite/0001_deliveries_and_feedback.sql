-- All times are microseconds since 1970 in UTC.

-- A push that CXone took.
CREATE TABLE deliveries (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    id              BLOB    NOT NULL UNIQUE,
    decision        BLOB    NOT NULL,
    profile         TEXT    NOT NULL,
    interaction     TEXT    NOT NULL,
    utterance       INTEGER NOT NULL,
    delivered_at_us INTEGER NOT NULL,
    cxone_id        TEXT,
    latency_ms      INTEGER NOT NULL
) STRICT;

CREATE INDEX deliveries_by_interaction ON deliveries (profile, interaction, delivered_at_us);
CREATE INDEX deliveries_by_time ON deliveries (delivered_at_us);

-- The cards of a push: what the agent saw, and where on the screen.
CREATE TABLE delivered_cards (
    delivery   BLOB    NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    article_id TEXT    NOT NULL,
    rank       INTEGER NOT NULL,
    score      REAL    NOT NULL,
    PRIMARY KEY (delivery, article_id)
) STRICT, WITHOUT ROWID;

-- What agents did with cards, in the order in which it was stored.
CREATE TABLE feedback (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    profile     TEXT    NOT NULL,
    interaction TEXT    NOT NULL,
    insight     TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    accepted    INTEGER NOT NULL CHECK (accepted IN (0, 1)),
    heard_at_us INTEGER NOT NULL,
    delivery    BLOB    REFERENCES deliveries (id) ON DELETE SET NULL,
    state       TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'set_aside')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    retry_at_us INTEGER,
    reason      TEXT
) STRICT;

CREATE INDEX feedback_pending ON feedback (profile, interaction, id) WHERE state = 'pending';
CREATE INDEX feedback_unmatched ON feedback (profile, interaction, insight) WHERE delivery IS NULL;
CREATE INDEX feedback_matched ON feedback (delivery, insight) WHERE delivery IS NOT NULL;
