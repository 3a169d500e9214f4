/** One line a driver: what this runner can start VMs with. */
export { firecrackerDriver as firecracker } from './firecracker/driver.js';
export { qemuDriver as qemu } from './qemu/driver.js';
