ALTER TABLE credentials ALTER COLUMN session_id DROP NOT NULL;
--> statement-breakpoint
ALTER TABLE credentials ADD COLUMN lineage integer CHECK (lineage > 0);
--> statement-breakpoint
UPDATE credentials SET lineage = generation;
--> statement-breakpoint
ALTER TABLE credentials ALTER COLUMN lineage SET NOT NULL;
--> statement-breakpoint
ALTER TABLE credentials ADD COLUMN method text NOT NULL DEFAULT 'login' CHECK (method IN ('login', 'api_key'));
--> statement-breakpoint
CREATE TABLE custody (
  user_id text NOT NULL REFERENCES users (id),
  provider text NOT NULL CHECK (provider IN ('codex', 'claude_code', 'gemini_cli')),
  last_generation integer NOT NULL DEFAULT 0 CHECK (last_generation >= 0),
  holder_vm_id text,
  delivered_as integer,
  delivered_generation integer,
  delivering integer,
  fingerprint text,
  confirmed boolean NOT NULL DEFAULT true,
  health text NOT NULL DEFAULT 'unknown'
    CONSTRAINT custody_health CHECK (health IN ('valid', 'expiring', 'needs_login', 'revoked', 'unknown')),
  health_reason text NOT NULL DEFAULT '',
  checked_at timestamptz(3),
  expires_at timestamptz(3),
  error jsonb,
  PRIMARY KEY (user_id, provider)
);
--> statement-breakpoint
CREATE INDEX custody_holder ON custody (holder_vm_id);
--> statement-breakpoint
INSERT INTO custody (user_id, provider, last_generation)
  SELECT user_id, provider, max(generation) FROM credentials GROUP BY user_id, provider;
--> statement-breakpoint
UPDATE custody SET holder_vm_id = vms.id, delivered_as = credentials.generation,
    delivered_generation = credentials.generation, confirmed = false
  FROM vms, credentials
  WHERE vms.user_id = custody.user_id AND vms.kind = 'cli' AND vms.state NOT IN ('failed', 'destroyed')
    AND credentials.user_id = custody.user_id AND credentials.provider = custody.provider AND credentials.state = 'active';
