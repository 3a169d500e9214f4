-- The VMM's driver that the VM was started with last, and why; null: by a version that did not note it, or never.
ALTER TABLE vms ADD COLUMN driver text;
--> statement-breakpoint
ALTER TABLE vms ADD COLUMN driver_reason text;
