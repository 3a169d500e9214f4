-- null: nobody has the browser VM yet; it is given to one session.
ALTER TABLE vms ALTER COLUMN user_id DROP NOT NULL;
--> statement-breakpoint
-- Hash of what cannot be changed in a VM that runs; it is given to nobody once a new one would have another.
ALTER TABLE vms ADD COLUMN born_with text;
--> statement-breakpoint
ALTER TABLE vms DROP CONSTRAINT vms_state_check;
--> statement-breakpoint
ALTER TABLE vms ADD CONSTRAINT vms_state_check CHECK (
  state IN ('creating', 'starting', 'waiting', 'running', 'stopping', 'stopped', 'destroying', 'failed', 'destroyed')
);
--> statement-breakpoint
-- Only a browser VM that runs for nobody is nobody's.
ALTER TABLE vms ADD CONSTRAINT vms_owner_check CHECK (user_id IS NOT NULL OR (kind = 'browser' AND session_id IS NULL));
