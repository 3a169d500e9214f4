/**
 * The calls of Firecracker's API that are used, with what they carry: written after `src/firecracker/swagger/firecracker.yaml` of its
 * versions 1.12 to 1.16. Pure.
 */
import { z } from 'zod';

/** Name of a file in the folder that the VMM works in. */
const Place = z.string().regex(/^[a-z][a-z0-9.-]*$/);
const Id = z.string().regex(/^[a-z0-9_]+$/);

/** What is sent, by call. A word in braces is a member of the body. */
const bodies = {
  'GET /version': z.null(),
  'PUT /serial': z.strictObject({ serial_out_path: Place }),
  'PUT /machine-config': z.strictObject({
    vcpu_count: z.int().min(1).max(32),
    mem_size_mib: z.int().positive(),
    smt: z.boolean(),
  }),
  'PUT /boot-source': z.strictObject({ kernel_image_path: Place, initrd_path: Place, boot_args: z.string() }),
  'PUT /drives/{drive_id}': z.strictObject({
    drive_id: Id,
    path_on_host: Place,
    is_read_only: z.boolean(),
    is_root_device: z.boolean(),
    cache_type: z.enum(['Unsafe', 'Writeback']),
  }),
  'PATCH /drives/{drive_id}': z.strictObject({ drive_id: Id, path_on_host: Place }),
  'PUT /network-interfaces/{iface_id}': z.strictObject({
    iface_id: Id,
    host_dev_name: z.string(),
    guest_mac: z.string(),
  }),
  'PUT /entropy': z.strictObject({}),
  'PUT /actions': z.strictObject({ action_type: z.literal('InstanceStart') }),
  'PATCH /vm': z.strictObject({ state: z.enum(['Paused', 'Resumed']) }),
  'PUT /snapshot/create': z.strictObject({
    snapshot_type: z.literal('Full'),
    snapshot_path: Place,
    mem_file_path: Place,
  }),
  'PUT /snapshot/load': z.strictObject({
    snapshot_path: Place,
    mem_backend: z.strictObject({ backend_type: z.literal('File'), backend_path: Place }),
    resume_vm: z.boolean(),
    network_overrides: z.array(z.strictObject({ iface_id: Id, host_dev_name: z.string() })),
  }),
} as const;

/** What is answered besides "204 No Content". */
export const Version = z.looseObject({ firecracker_version: z.string().max(64) });
/** What every refusal carries. */
export const Fault = z.looseObject({ fault_message: z.string() });

export type CallName = keyof typeof bodies;
export type Call = { [Name in CallName]: { name: Name; body: z.input<(typeof bodies)[Name]> } }[CallName];

export interface ApiRequest {
  method: string;
  path: string;
  /** JSON; none for a GET. */
  content: string | null;
}

/** A call as it goes over the socket. @throws ZodError when it is none of the API */
export function requestOf({ name, body }: Call): ApiRequest {
  const sent: Record<string, unknown> | null = bodies[name].parse(body);
  const [method = '', path = ''] = name.split(' ');
  const filled = path.replace(/\{(\w+)\}/g, (_, member: string) => String(sent?.[member]));
  return { method, path: filled, content: sent === null ? null : JSON.stringify(sent) };
}
