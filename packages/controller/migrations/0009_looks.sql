-- Why the newest look at a credential in its CLI VM failed; empty: it did not.
ALTER TABLE custody ADD COLUMN look_error text NOT NULL DEFAULT '';
