-- What operators decided about articles while the service ran. The newest action on an article is the one in effect.
CREATE TABLE operator_actions (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    profile    TEXT    NOT NULL,
    article_id TEXT    NOT NULL,
    action     TEXT    NOT NULL CHECK (action IN ('pin', 'mute', 'release')),
    -- Who did it and why, in the operator's words.
    reason     TEXT    NOT NULL,
    at_us      INTEGER NOT NULL,
    -- When it ends by itself, where it does.
    ends_at_us INTEGER
) STRICT;

CREATE INDEX operator_actions_by_article ON operator_actions (profile, article_id, number);
