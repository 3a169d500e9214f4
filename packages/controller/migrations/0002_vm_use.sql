ALTER TABLE vms ADD COLUMN last_used_at timestamptz(3);
