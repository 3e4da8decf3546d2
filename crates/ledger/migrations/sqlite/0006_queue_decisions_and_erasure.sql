-- What has to reach somebody is a queue of its own, of any kind; decisions are kept; what a customer's interaction left can be
-- erased, with the figures left as they are.

-- An impression hangs on its delivery by a number, and says itself what the agent made of the card.
CREATE TABLE shown (
    delivery     INTEGER NOT NULL REFERENCES deliveries (number) ON DELETE CASCADE,
    article_id   TEXT    NOT NULL,
    wire_id      TEXT    NOT NULL,
    content_hash TEXT    NOT NULL,
    rank         INTEGER NOT NULL,
    score        REAL    NOT NULL,
    probability  REAL,
    propensity   REAL    CHECK (propensity > 0 AND propensity <= 1),
    features     TEXT    NOT NULL,
    -- By the newest event; none where the agent did nothing with the card.
    accepted     INTEGER CHECK (accepted IN (0, 1)),
    PRIMARY KEY (delivery, article_id)
) STRICT, WITHOUT ROWID;

INSERT INTO shown
SELECT d.number, i.article_id, i.wire_id, i.content_hash, i.rank, i.score, i.probability, i.propensity, i.features,
       (SELECT f.accepted FROM feedback f WHERE f.delivery = i.delivery AND f.insight = i.wire_id ORDER BY f.id DESC LIMIT 1)
FROM impressions i JOIN deliveries d ON d.id = i.delivery;

-- How delivered cards were received, each counted once by its newest event; what is purged or erased stays counted.
CREATE TABLE acceptance (
    profile  TEXT    PRIMARY KEY,
    accepted INTEGER NOT NULL,
    rejected INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO acceptance
SELECT d.profile, COUNT(*) FILTER (WHERE s.accepted = 1), COUNT(*) FILTER (WHERE s.accepted = 0)
FROM shown s JOIN deliveries d ON d.number = s.delivery WHERE s.accepted IS NOT NULL GROUP BY d.profile;

-- What has to reach somebody. Of each key the oldest goes first, one at a time; what arrived is taken away.
CREATE TABLE queue (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT    NOT NULL CHECK (kind IN ('feedback', 'callback')),
    profile      TEXT    NOT NULL,
    key          TEXT    NOT NULL,
    -- A JSON object; what is in it is the kind's own.
    payload      TEXT    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('pending', 'dead')),
    attempts     INTEGER NOT NULL,
    retry_at_us  INTEGER NOT NULL,
    queued_at_us INTEGER NOT NULL,
    -- Of the last attempt that failed.
    reason       TEXT
) STRICT;

INSERT INTO queue (id, kind, profile, key, payload, state, attempts, retry_at_us, queued_at_us, reason)
SELECT id, 'feedback', profile, interaction,
       json_object('insight', insight, 'action', action, 'accepted', json(iif(accepted, 'true', 'false')), 'heard_at_us', heard_at_us),
       iif(state = 'pending', 'pending', 'dead'), attempts, COALESCE(retry_at_us, 0), heard_at_us, reason
FROM feedback WHERE state <> 'delivered' ORDER BY id;

CREATE INDEX queue_pending ON queue (kind, profile, key, id) WHERE state = 'pending';
CREATE INDEX queue_dead ON queue (kind, id) WHERE state = 'dead';

-- What agents did with cards.
CREATE TABLE events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Made where it was heard: storing it again changes nothing.
    event       BLOB    NOT NULL UNIQUE,
    profile     TEXT    NOT NULL,
    interaction TEXT    NOT NULL,
    insight     TEXT    NOT NULL,
    -- Without what names a person or an account.
    action      TEXT    NOT NULL,
    accepted    INTEGER NOT NULL CHECK (accepted IN (0, 1)),
    heard_at_us INTEGER NOT NULL,
    -- The number of the delivery that showed the card, where one is known.
    delivery    INTEGER
) STRICT;

INSERT INTO events (id, event, profile, interaction, insight, action, accepted, heard_at_us, delivery)
SELECT f.id, randomblob(16), f.profile, f.interaction, f.insight, f.action, f.accepted, f.heard_at_us, d.number
FROM feedback f LEFT JOIN deliveries d ON d.id = f.delivery ORDER BY f.id;

DROP TABLE impressions;
ALTER TABLE shown RENAME TO impressions;
DROP TABLE feedback;
ALTER TABLE events RENAME TO feedback;
CREATE INDEX feedback_by_card ON feedback (interaction, profile, insight);
CREATE INDEX impressions_judged ON impressions (delivery) WHERE accepted IS NOT NULL;
-- A delivery's id is its decision's.
ALTER TABLE deliveries DROP COLUMN decision;
-- An interaction is erased whoever it is of.
DROP INDEX deliveries_by_interaction;
CREATE INDEX deliveries_by_interaction ON deliveries (interaction, profile, delivered_at_us);

-- The audit names a session by a pseudonym. This table is the key to it: what is erased here nobody finds in the audit again.
CREATE TABLE sessions (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    profile   TEXT    NOT NULL,
    session   TEXT    NOT NULL,
    pseudonym BLOB    NOT NULL,
    at_us     INTEGER NOT NULL,
    UNIQUE (session, profile)
) STRICT;

INSERT INTO sessions (number, profile, session, pseudonym, at_us)
SELECT number, profile, session, randomblob(16), CAST(unixepoch('subsec') * 1000000 AS INTEGER) FROM ranking_sessions;

INSERT INTO sessions (profile, session, pseudonym, at_us)
SELECT DISTINCT profile, session, randomblob(16), CAST(unixepoch('subsec') * 1000000 AS INTEGER) FROM ranking_audit WHERE TRUE
ON CONFLICT DO NOTHING;

CREATE TABLE audit (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    profile       TEXT    NOT NULL,
    pseudonym     BLOB    NOT NULL,
    at_us         INTEGER NOT NULL,
    snippet_count INTEGER NOT NULL,
    -- A day at most, so that the sum of many stays within an integer.
    latency_us    INTEGER NOT NULL CHECK (latency_us BETWEEN 0 AND 86400000000),
    max_window    INTEGER NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('success', 'failed')),
    checksum      TEXT,
    -- The ids of the snippets in their order, a JSON array.
    delivered     TEXT    NOT NULL
) STRICT;

INSERT INTO audit
SELECT a.id, a.profile, s.pseudonym, a.at_us, a.snippet_count, a.latency_us, a.max_window, a.status, a.checksum, a.delivered
FROM ranking_audit a JOIN sessions s ON s.profile = a.profile AND s.session = a.session ORDER BY a.id;

CREATE TABLE clicks (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    session       INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
    snippet       TEXT    NOT NULL,
    rank_position INTEGER NOT NULL CHECK (rank_position >= 1),
    clicked_at_us INTEGER NOT NULL
) STRICT;

INSERT INTO clicks SELECT id, session, snippet, rank_position, clicked_at_us FROM ranking_clicks ORDER BY id;
CREATE INDEX clicks_by_session ON clicks (session);

CREATE TABLE snippets (
    session   INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
    snippet   TEXT    NOT NULL,
    delivered INTEGER NOT NULL CHECK (delivered IN (0, 1)),
    clicked   INTEGER NOT NULL CHECK (clicked IN (0, 1)),
    PRIMARY KEY (session, snippet)
) STRICT, WITHOUT ROWID;

INSERT INTO snippets SELECT session, snippet, delivered, clicked FROM ranked_snippets;

DROP TABLE ranking_audit;
DROP TABLE ranking_clicks;
DROP TABLE ranked_snippets;
DROP TABLE ranking_sessions;
ALTER TABLE audit RENAME TO ranking_audit;
ALTER TABLE clicks RENAME TO ranking_clicks;
ALTER TABLE snippets RENAME TO ranked_snippets;
ALTER TABLE sessions RENAME TO ranking_sessions;

-- How far a kind of record was purged: the audit gives up nothing that is younger.
CREATE TABLE purges (
    kind      TEXT    PRIMARY KEY,
    before_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER ranking_audit_is_not_updated BEFORE UPDATE ON ranking_audit
BEGIN
    SELECT RAISE(ABORT, 'an audit entry is never changed');
END;

CREATE TRIGGER ranking_audit_is_deleted_by_age_alone BEFORE DELETE ON ranking_audit
WHEN OLD.at_us >= COALESCE((SELECT before_us FROM purges WHERE kind = 'audit'), 0)
BEGIN
    SELECT RAISE(ABORT, 'an audit entry is deleted by its age alone');
END;

-- REPLACE takes the older row away without asking the trigger above.
CREATE TRIGGER ranking_audit_is_not_replaced BEFORE INSERT ON ranking_audit
WHEN EXISTS (SELECT 1 FROM ranking_audit WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'an audit entry is never replaced');
END;

-- What was decided about each question, without what names a person or an account.
CREATE TABLE decisions (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          BLOB    NOT NULL UNIQUE,
    profile     TEXT    NOT NULL,
    interaction TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    at_us       INTEGER NOT NULL,
    -- A JSON object, deflated.
    body        BLOB    NOT NULL
) STRICT;

CREATE INDEX decisions_by_interaction ON decisions (interaction, profile);

-- One row, written where it must be known whether anything can be.
CREATE TABLE probe (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    at_us INTEGER NOT NULL
) STRICT;

INSERT INTO probe VALUES (1, 0);
