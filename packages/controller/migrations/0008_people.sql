-- People can be disabled, and their sign-ins listed and ended one by one.
ALTER TABLE users ADD COLUMN disabled_at timestamp(3) with time zone;
--> statement-breakpoint
-- Since when all that is theirs is being removed; the row goes last.
ALTER TABLE users ADD COLUMN removed_at timestamp(3) with time zone;
--> statement-breakpoint
-- A cookie alone is not enough any more: whoever has one signs in again.
DELETE FROM tokens WHERE kind = 'cookie';
--> statement-breakpoint
ALTER TABLE tokens ADD COLUMN id text CONSTRAINT tokens_id_key UNIQUE;
--> statement-breakpoint
ALTER TABLE tokens ADD COLUMN page_hash text;
--> statement-breakpoint
ALTER TABLE tokens ADD COLUMN sign_in text;
--> statement-breakpoint
ALTER TABLE tokens ADD COLUMN made_with text;
--> statement-breakpoint
ALTER TABLE tokens ADD COLUMN created_at timestamp(3) with time zone NOT NULL DEFAULT now();
--> statement-breakpoint
ALTER TABLE tokens ADD COLUMN last_used_at timestamp(3) with time zone;
--> statement-breakpoint
-- What was done, by whom and to whom. Rows outlive those whom they name, so nothing refers to others.
CREATE TABLE audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamp(3) with time zone NOT NULL DEFAULT now(),
  actor_id text,
  actor_name text NOT NULL,
  via text NOT NULL,
  action text NOT NULL,
  user_id text,
  subject text,
  details jsonb NOT NULL DEFAULT '{}'
);
--> statement-breakpoint
CREATE INDEX audit_user ON audit (user_id, id);
--> statement-breakpoint
CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'The audit is only added to.' USING ERRCODE = 'insufficient_privilege';
END
$$;
--> statement-breakpoint
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit();
