ALTER TABLE auth_sessions RENAME COLUMN expires_at TO deadline_at;
--> statement-breakpoint
ALTER TABLE auth_sessions
  ADD COLUMN deadline_max_at timestamptz(3),
  ADD COLUMN login jsonb,
  ADD COLUMN notice jsonb;
