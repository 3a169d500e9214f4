/** First of all zod is told not to use eval, which the content security policy forbids; only then the rest may load. */
import { z } from 'zod';

// Zod decides when a schema is made, and the contract makes its schemas while it loads: hence the import afterwards.
z.config({ jitless: true });
void import('./app/start.js');
