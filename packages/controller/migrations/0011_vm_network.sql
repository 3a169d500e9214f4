-- The network that the VM was started with last, netns or user; null: by a version that did not note it, or never.
ALTER TABLE vms ADD COLUMN network text;
