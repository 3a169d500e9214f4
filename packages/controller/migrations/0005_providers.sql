-- Which providers there are stands in the registry; a row only has to look as if it named one.
ALTER TABLE auth_sessions DROP CONSTRAINT auth_sessions_provider_check,
  ADD CONSTRAINT auth_sessions_provider_check CHECK (provider ~ '^[a-z][a-z0-9_]{0,63}$');
--> statement-breakpoint
ALTER TABLE credentials DROP CONSTRAINT credentials_provider_check,
  ADD CONSTRAINT credentials_provider_check CHECK (provider ~ '^[a-z][a-z0-9_]{0,63}$');
--> statement-breakpoint
ALTER TABLE custody DROP CONSTRAINT custody_provider_check,
  ADD CONSTRAINT custody_provider_check CHECK (provider ~ '^[a-z][a-z0-9_]{0,63}$');
