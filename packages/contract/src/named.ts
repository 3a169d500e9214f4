/** The schemas that have a name in the description of the API. */
import { z } from 'zod';

/** Not zod's global registry, where the names of two copies of this package, compiled and not, would be each other's. */
export const named = z.registry<{ id: string }>();
