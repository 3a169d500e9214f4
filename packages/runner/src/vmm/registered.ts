/** One line a driver: what this runner can start VMs with. */
export { qemuDriver as qemu } from './qemu/driver.js';
