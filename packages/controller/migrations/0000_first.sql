CREATE TABLE users (
  id text PRIMARY KEY,
  name text NOT NULL UNIQUE,
  role text NOT NULL CHECK (role IN ('admin', 'user')),
  proxy_port integer NOT NULL UNIQUE CHECK (proxy_port BETWEEN 1 AND 65535),
  token_hash text UNIQUE,
  created_at timestamptz(3) NOT NULL DEFAULT now()
);
--> statement-breakpoint
CREATE TABLE tokens (
  hash text PRIMARY KEY,
  kind text NOT NULL CONSTRAINT tokens_kind CHECK (kind IN ('login', 'cookie', 'desktop')),
  user_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  vm_id text,
  expires_at timestamptz(3) NOT NULL
);
--> statement-breakpoint
CREATE INDEX tokens_expires_at ON tokens (expires_at);
--> statement-breakpoint
CREATE TABLE auth_sessions (
  id text PRIMARY KEY,
  user_id text NOT NULL REFERENCES users (id),
  provider text NOT NULL CHECK (provider IN ('codex', 'claude_code', 'gemini_cli')),
  status text NOT NULL CHECK (status IN ('pending', 'vm_created', 'ready', 'awaiting_user_auth', 'authenticating',
    'delivering', 'completed', 'failed', 'timeout', 'cancelled')),
  revision integer NOT NULL DEFAULT 0,
  steps jsonb NOT NULL,
  browser_vm_id text,
  cli_vm_id text,
  error jsonb,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  expires_at timestamptz(3),
  destroy_at timestamptz(3)
);
--> statement-breakpoint
CREATE UNIQUE INDEX auth_sessions_one_open ON auth_sessions (user_id, provider)
  WHERE status NOT IN ('completed', 'failed', 'timeout', 'cancelled');
--> statement-breakpoint
CREATE INDEX auth_sessions_user ON auth_sessions (user_id, created_at);
--> statement-breakpoint
CREATE TABLE vms (
  id text PRIMARY KEY,
  user_id text NOT NULL REFERENCES users (id),
  kind text NOT NULL CHECK (kind IN ('browser', 'cli')),
  state text NOT NULL CHECK (state IN ('creating', 'starting', 'running', 'stopping', 'stopped', 'failed', 'destroyed')),
  session_id text,
  image_id text NOT NULL,
  accel text NOT NULL CHECK (accel IN ('kvm', 'tcg')),
  epoch integer NOT NULL DEFAULT 0,
  home_key_sealed text,
  timings jsonb NOT NULL,
  error jsonb,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  ready_at timestamptz(3),
  destroy_at timestamptz(3)
);
--> statement-breakpoint
CREATE UNIQUE INDEX vms_one_cli ON vms (user_id) WHERE kind = 'cli' AND state NOT IN ('failed', 'destroyed');
--> statement-breakpoint
CREATE INDEX vms_destroy_at ON vms (destroy_at);
--> statement-breakpoint
CREATE TABLE credentials (
  user_id text NOT NULL REFERENCES users (id),
  provider text NOT NULL CHECK (provider IN ('codex', 'claude_code', 'gemini_cli')),
  generation integer NOT NULL CHECK (generation > 0),
  state text NOT NULL CHECK (state IN ('staged', 'active')),
  session_id text NOT NULL,
  sealed text NOT NULL,
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, provider, generation)
);
--> statement-breakpoint
CREATE UNIQUE INDEX credentials_one_active ON credentials (user_id, provider) WHERE state = 'active';
