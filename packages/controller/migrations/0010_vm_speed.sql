-- How fast guests were on the host under each accelerator when the VM was started last; null: by a version that did not note it.
ALTER TABLE vms ADD COLUMN count_ms jsonb;
