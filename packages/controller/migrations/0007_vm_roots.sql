-- The root of a CLI VM can be replaced. Number 0: it has none beside its home, as all had until now.
ALTER TABLE vms ADD COLUMN root_number integer NOT NULL DEFAULT 0;
--> statement-breakpoint
ALTER TABLE vms ADD COLUMN root_update jsonb;
