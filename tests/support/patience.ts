/** How many times longer tests wait: TEST_PATIENCE, which `npm run test:kvm` sets, whose host is itself emulated; 1 elsewhere. */
export const patience = Number(process.env['TEST_PATIENCE'] ?? 1);
