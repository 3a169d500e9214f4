-- The key of a CLI VM's home belongs to the vault, which seals it, and not to the row of the VM.
CREATE TABLE home_keys (
  vm_id text PRIMARY KEY,
  sealed text NOT NULL
);
--> statement-breakpoint
INSERT INTO home_keys (vm_id, sealed) SELECT id, home_key_sealed FROM vms WHERE home_key_sealed IS NOT NULL;
--> statement-breakpoint
ALTER TABLE vms DROP COLUMN home_key_sealed;
