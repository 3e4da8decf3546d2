-- What an agent saw, and by what it was chosen: a ranker learns from it together with what the agent did.
ALTER TABLE delivered_cards RENAME TO impressions;
-- What CXone calls the card; feedback names it so.
ALTER TABLE impressions ADD COLUMN wire_id TEXT NOT NULL DEFAULT '';
UPDATE impressions SET wire_id = article_id;
-- Of the article as it was then; the article of the same id may say something else by now.
ALTER TABLE impressions ADD COLUMN content_hash TEXT NOT NULL DEFAULT '';
-- The probability that the card is right, where the ranker tells one.
ALTER TABLE impressions ADD COLUMN probability REAL;
-- How probable it was that the article came at this rank, where ranks were swapped now and then to learn from it.
ALTER TABLE impressions ADD COLUMN propensity REAL CHECK (propensity > 0 AND propensity <= 1);
-- A JSON object of numbers by name.
ALTER TABLE impressions ADD COLUMN features TEXT NOT NULL DEFAULT '{}';

-- Of the question: no word of it, and its vector only where the settings keep that.
ALTER TABLE deliveries ADD COLUMN num_words INTEGER;
ALTER TABLE deliveries ADD COLUMN num_turns INTEGER;
ALTER TABLE deliveries ADD COLUMN question_vector BLOB;
