-- A VM that is being removed has a state of its own. Before, it was `stopping` like one that is kept, with a time of destruction.
ALTER TABLE vms DROP CONSTRAINT vms_state_check;
ALTER TABLE vms ADD CONSTRAINT vms_state_check
  CHECK (state IN ('creating', 'starting', 'running', 'stopping', 'stopped', 'destroying', 'failed', 'destroyed'));
UPDATE vms SET state = 'destroying' WHERE state = 'stopping' AND (kind = 'browser' OR destroy_at IS NOT NULL);
