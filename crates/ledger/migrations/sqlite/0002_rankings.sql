-- All times are microseconds since 1970 in UTC, durations microseconds.

-- What was submitted for a session, one row for each submission. The order of the ids is the order of storing.
CREATE TABLE ranking_audit (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    profile       TEXT    NOT NULL,
    session       TEXT    NOT NULL,
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

CREATE INDEX ranking_audit_by_profile ON ranking_audit (profile, id);

CREATE TRIGGER ranking_audit_is_not_updated BEFORE UPDATE ON ranking_audit
BEGIN
    SELECT RAISE(ABORT, 'an audit entry is never changed');
END;

CREATE TRIGGER ranking_audit_is_not_deleted BEFORE DELETE ON ranking_audit
BEGIN
    SELECT RAISE(ABORT, 'an audit entry is never deleted');
END;

-- REPLACE takes the older row away without asking the trigger above.
CREATE TRIGGER ranking_audit_is_not_replaced BEFORE INSERT ON ranking_audit
WHEN EXISTS (SELECT 1 FROM ranking_audit WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'an audit entry is never replaced');
END;

-- Numbers for sessions. They grow, so what hangs on them is written at the end of its tree and not all over it.
CREATE TABLE ranking_sessions (
    number  INTEGER PRIMARY KEY,
    profile TEXT NOT NULL,
    session TEXT NOT NULL,
    UNIQUE (profile, session)
) STRICT;

CREATE TABLE ranking_clicks (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    session       INTEGER NOT NULL REFERENCES ranking_sessions (number),
    snippet       TEXT    NOT NULL,
    rank_position INTEGER NOT NULL CHECK (rank_position >= 1),
    clicked_at_us INTEGER NOT NULL
) STRICT;

-- Each snippet of a session once: was it delivered, was it clicked.
CREATE TABLE ranked_snippets (
    session   INTEGER NOT NULL REFERENCES ranking_sessions (number),
    snippet   TEXT    NOT NULL,
    delivered INTEGER NOT NULL CHECK (delivered IN (0, 1)),
    clicked   INTEGER NOT NULL CHECK (clicked IN (0, 1)),
    PRIMARY KEY (session, snippet)
) STRICT, WITHOUT ROWID;

-- What the tables above come to, kept in the transaction that changes them.
CREATE TABLE ranking_totals (
    profile           TEXT    PRIMARY KEY,
    entries           INTEGER NOT NULL DEFAULT 0,
    successes         INTEGER NOT NULL DEFAULT 0,
    -- Of the successes.
    latency_us        INTEGER NOT NULL DEFAULT 0,
    clicks            INTEGER NOT NULL DEFAULT 0,
    delivered         INTEGER NOT NULL DEFAULT 0,
    delivered_clicked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- A row comes in as delivered or as clicked, and an update is what makes it both.
CREATE TRIGGER ranked_snippet_is_delivered_and_clicked AFTER UPDATE ON ranked_snippets
WHEN NEW.delivered AND NEW.clicked AND NOT (OLD.delivered AND OLD.clicked)
BEGIN
    INSERT INTO ranking_totals (profile, delivered_clicked)
    SELECT profile, 1 FROM ranking_sessions WHERE number = NEW.session
    ON CONFLICT (profile) DO UPDATE SET delivered_clicked = delivered_clicked + 1;
END;
