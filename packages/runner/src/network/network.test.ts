import { expect, it } from 'vitest';
import { attachNetwork } from './network.js';

const options = {
  ...{ accepts: ['tap', 'user'] as const, helperSocket: null },
  ...{ vmId: 'vm_0123456789abcdef', folder: '/v', desktop: true },
};

it('takes the form that is wanted and that the driver knows, and tells where the gateway listens', async () => {
  const { device, gatewaySocket } = await attachNetwork(options);
  expect(device).toEqual({ type: 'user', forwards: [8080, 5901], gatewaySocket: '/v/e.sock' });
  expect(gatewaySocket).toBe('/v/e.sock');
  await expect(attachNetwork({ ...options, accepts: ['tap'] })).rejects.toMatchObject({ code: 'host_unsupported' });
});

it('leads to agent and desktop once the VM runs, and to no desktop where there is none', async () => {
  const network = await attachNetwork(options);
  expect(() => network.dial('agent')).toThrow(expect.objectContaining({ code: 'guest_unreachable' }));
  network.poweredOn(
    new Map([
      [8080, 41000],
      [5901, 41001],
    ]),
  );
  expect(network.dial('agent')).toEqual({ host: '127.0.0.1', port: 41000 });
  expect(network.dial('desktop')).toEqual({ host: '127.0.0.1', port: 41001 });
  const headless = await attachNetwork({ ...options, desktop: false });
  headless.poweredOn(new Map([[8080, 41000]]));
  expect(() => headless.dial('desktop')).toThrow(expect.objectContaining({ code: 'guest_unreachable' }));
});
