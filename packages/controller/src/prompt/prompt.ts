/** The face of the prompt folder: a text for a provider's CLI in the user's CLI VM, its answer as events. */
import type { PromptEvent, RunPromptRequest } from '@airlock/contract/api';

/** Passes an event on; resolves when there is room for the next. */
export type Emit = (event: PromptEvent) => Promise<void>;

/**
 * Starts the CLI VM if it stands still, runs the CLI and emits what it says; the last event is its exit code. Ends, with the CLI,
 * when `caller` fires. Never rejects: what goes wrong is an event. To be called once.
 */
export type PromptRun = (emit: Emit, caller: AbortSignal) => Promise<void>;

export interface Prompts {
  /**
   * Looks at everything that can be known before anything is started.
   * @throws AppError provider_unknown, provider_unavailable, not_connected, invalid_request, image_missing, capacity_exhausted
   */
  prepare(userId: string, request: RunPromptRequest): Promise<PromptRun>;
  /** Ends all that run. */
  close(): Promise<void>;
}
