-- User and group id of the VMM, while the VM is neither stopped nor at its end; null: its host gives none. One VM has it at a time.
ALTER TABLE vms ADD COLUMN vm_user bigint;
--> statement-breakpoint
CREATE UNIQUE INDEX vms_one_user ON vms (vm_user) WHERE state NOT IN ('stopped', 'failed', 'destroyed');
